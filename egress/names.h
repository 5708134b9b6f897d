/* Names are looked up outside of the sandbox, by a process of their own: libc's resolver works with
 * files and libraries that the machine chooses (nsswitch.conf), which a root without files has not.
 * It is told names that the policy allows, and nothing else. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define NAMES_ADDRESSES 8
#define NAMES_HOST 256

struct name {
    char host[NAMES_HOST];
    int error;         /* getaddrinfo's, 0 where there are addresses */
    unsigned n;        /* addresses */
    bool asked, known; /* asked: the helper works on it */
    uint64_t until_ms; /* mono_ms, after which it is asked for again */
    struct sockaddr_storage addresses[NAMES_ADDRESSES]; /* without a port */
};

struct names;

/* Starts the helper, which gives up its rights (service_lower). Once, and before the caller has
 * threads. Its end is the end of names_fd. */
int names_new(struct names **ret, uint32_t uid_first, struct err *err);
void names_free(struct names *s);
int names_fd(const struct names *s);
/* What is known about `host`, at once for an address; NULL while it is looked up, after which
 * names_read has something. Valid until the next call. */
const struct name *names_get(struct names *s, const char *host);
/* Takes the helper's answers. -EPIPE where it has ended. */
int names_read(struct names *s);
