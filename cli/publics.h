/* All of the visitors' listening sockets: server.listen, server.also_listen, tls.listen, and what
 * systemd handed over. */
#pragma once

#include "common/conf.h"
#include "common/err.h"
#include "common/proto.h"

struct activation;

struct publics {
    unsigned n; /* the first is server.listen's */
    struct {
        int fd;
        uint32_t flags; /* enum proto_listen_flags */
        char path[256]; /* of a Unix socket that we made; removed at the end */
    } sockets[PROTO_LISTENERS];
};

/* Opens them, and writes the real ports into server.listen and tls.listen. `wait_ms` as in
 * listener_tcp. */
int publics_open(struct publics *p, struct conf *conf, struct activation *a, int wait_ms,
                 struct err *err);
void publics_close(struct publics *p);
