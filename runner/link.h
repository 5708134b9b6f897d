/* A connection that carries messages (common/proto.h), with a queue for those that its reader has
 * no room for yet: a SEQPACKET socket takes as few as ten before it answers EAGAIN. */
#pragma once

#include "common/err.h"
#include "common/proto.h"
#include "runner/loop.h"

#include <stdbool.h>

struct link_pending;

/* Embedded in its owner, zeroed at birth; on_msg, on_gone and arg are set once. */
struct link {
    void (*on_msg)(void *arg,
                   struct proto_msg *m);         /* descriptors not taken are closed afterwards */
    void (*on_gone)(void *arg, const char *why); /* the link is closed already */
    void *arg;

    int fd; /* meaningful while open */
    struct loop *loop;
    struct loop_io *io; /* NULL: closed */
    struct link_pending *first, **last;
    unsigned pending, pending_fds;
};

/* Takes `fd` over, closing an earlier one without a word; on failure too. */
int link_open(struct link *l, struct loop *loop, int fd, struct err *err);
/* Closes it and drops what was not sent; on_gone is not called. A closed one is fine. */
void link_close(struct link *l);
static inline bool link_is_open(const struct link *l)
{
    return l->io != NULL;
}

/* Sends now or as soon as there is room, in order. The descriptors stay the caller's. 0, -ENOTCONN
 * where it is closed, -ENOBUFS where the reader has not read for very long (sooner with
 * descriptors). An error of the socket itself is reported by on_gone, from the loop. */
int link_send(struct link *l, enum proto_type type, const void *body, const int *fds, int n_fds);
