/* The loops of a gateway: one for each CPU that it may use ([gateway] threads), each in a thread of
 * its own, the first in the program's first thread.
 *
 * A loop is a whole gateway: it has its own link to the runner and way to the site, its own routes,
 * workers, kept connections, certificates, counters and buffer of log lines. A connection stays
 * with the loop that got it, so that a request touches nothing which another loop writes. What they
 * have in common:
 *
 *   the listening sockets: one loop of those that wait is woken and accepts, and where it has more
 *       connections than another it hands the new one over, by that one's inbox
 *   limits.h, and how much each has of what has a limit in all: written by it alone, read by others
 *       when one more is wanted
 *   `up`: it speaks to the first loop, which passes on what concerns the others, by sockets as its
 *       own is
 *
 * With one loop none of this is on a request's way. */
#pragma once

#include "loop.h"

#include <pthread.h>
#include <stdatomic.h>

#define CREW_MAX CONF_THREADS_MAX

/* Of what there is a limit in all. */
enum crew_what { CREW_CLIENTS, CREW_HELD, CREW_SITE, CREW_WHATS };

struct crew_seat {
    _Alignas(64) _Atomic uint32_t has[CREW_WHATS]; /* written by its loop */
    _Alignas(64) _Atomic uint32_t load;            /* connections that are its, or in its inbox */
    int inbox; /* the end that is written to; -1: there is none */
};

struct crew_member {
    struct loop *loop;
    pthread_t thread;
    bool running;
    struct io to;   /* of the first loop: to the member's */
    struct io from; /* the member's own */
};

struct crew {
    unsigned n;
    struct limits *limits;
    struct crew_seat seats[CREW_MAX];
    struct crew_member members[CREW_MAX]; /* [0] is the first loop, which has neither thread nor
                                             sockets here */
    pthread_barrier_t begun;
    bool done; /* the first loop has nothing left, and waits for the others */
};

/* As many loops as the configuration says, before the process confines itself. `conf` must outlive
 * it. */
int crew_new(struct crew **ret, const struct conf *conf, struct err *err);
/* The threads. `arg` is the crew: it is a step of service_confine. */
int crew_start(void *arg, struct err *err);
/* Ends the threads, and with them whatever visitors they still have; then everything is gone. */
void crew_free(struct crew *c);

/* Passes on a message of `up`: what comes with several descriptors has one for each loop. */
void crew_pass(struct crew *c, const struct proto_msg *m);
/* SIGTERM: the others stop as well. */
void crew_stop(struct crew *c);
/* The loop drains and has no client left: it ends, unless a connection is on its way to it. */
void crew_done(struct loop *l);

/* ---- by each loop ---- */

static inline void crew_set(struct loop *l, enum crew_what what, uint32_t value)
{
    atomic_store_explicit(&l->crew->seats[l->number].has[what], value, memory_order_relaxed);
}
/* What all loops have of it. */
static inline uint64_t crew_total(const struct loop *l, enum crew_what what)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < l->crew->n; i++)
        sum += atomic_load_explicit(&l->crew->seats[i].has[what], memory_order_relaxed);
    return sum;
}

struct sockaddr_storage;
/* An accepted connection goes to another loop, which has fewer (true); or it is l's. */
bool crew_hand_over(struct loop *l, const struct listener *from, int fd,
                    const struct sockaddr_storage *peer);
/* A connection of l's is gone. */
static inline void crew_left(struct loop *l)
{
    if (l->crew->n > 1)
        atomic_fetch_sub_explicit(&l->crew->seats[l->number].load, 1, memory_order_relaxed);
}
