/* The gateway's end of the socket to the runner. What is to be said follows from the state of
 * routes and workers, so nothing is lost when the runner is away or slow: it is said to the next
 * one, or when there is room. */
#pragma once

#include "route.h"

struct tally;

struct runner {
    struct io io; /* first; fd -1 while there is none */
    struct loop *loop;
    struct link tx;                        /* routes with something to send */
    bool blocked;                          /* EPOLLOUT is awaited */
    struct proto_sleep_answer answers[64]; /* that found no room; oldest first */
    uint32_t n_answers;
};

int runner_new(struct loop *l, struct err *err);
void runner_free(struct loop *l);
/* A new socket to the runner, taken over. */
void runner_set(struct loop *l, int fd);
/* Something is in tx. */
void runner_flush(struct loop *l);
/* For the Space's owner; lost if there is no room. */
void runner_note(struct loop *l, uint64_t space_id, uint64_t worker_id, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* False where it could not be sent now. */
/* False where it could not be asked just now. */
bool runner_ask(struct loop *l, const struct proto_token_ask *m);
bool runner_stat(struct loop *l, const struct proto_gateway_stat *m);
bool runner_tally(struct loop *l, const struct tally *t);
bool runner_counters(struct loop *l, const struct worker *w);
