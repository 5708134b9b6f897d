/* Sockets that systemd hands over (socket units): LISTEN_FDS descriptors from 3 on, meant for the
 * process LISTEN_PID, named by LISTEN_FDNAMES; sd_listen_fds(3) says how. */
#pragma once

#include "common/err.h"

#define ACTIVATION_MAX 16

struct activation {
    unsigned n;
    struct {
        int fd; /* -1 once it was taken */
        char name[256];
        char where[300]; /* "127.0.0.1:80", or the path of a Unix socket */
    } sockets[ACTIVATION_MAX];
};

/* Those that are meant for this process, none without the variables, which are removed from the
 * environment. -EINVAL where one is no listening stream socket. */
int activation_take(struct activation *a, struct err *err);
/* The one that listens at this address ("127.0.0.1:80"), or of this name: the caller's. -1: none.
 */
int activation_at(struct activation *a, const char *address);
int activation_named(struct activation *a, const char *name);
void activation_close(struct activation *a);
