/* Host labels and what the runner said about them: a bounded cache, least recently used out first.
 *
 * A route that is not `known` was asked for and is awaited. Those whose Space runs nowhere are held
 * here (a WAKE goes out once for all of them), and those who look at a waiting page watch here. */
#pragma once

#include "client.h"
#include "common/headers.h"

#define ROUTE_LINES_BYTES 4096

struct route {
    struct link lru;
    struct link tx; /* runner->tx: something is to be sent about it */
    struct route *next_hash, *next_space;
    struct loop *loop;
    char label[64];
    uint64_t space_id;
    struct tally *tally; /* where there is a Space */
    char space[200], title[200], emoji[32], message[1024];
    uint32_t stage; /* enum proto_stage */
    uint32_t port;
    uint32_t flags; /* enum proto_route_flags */
    uint8_t
        headers[HEADER_COUNT]; /* what its answers get instead of its own (headers.h); 0: none */
    bool known, wakes;
    bool resolving;        /* RESOLVE was sent, or waits in runner->tx, and is not answered yet */
    uint32_t pins;         /* somebody works on it: it stays although nobody uses it */
    uint8_t tx_want;       /* ROUTE_TX_* */
    struct worker *worker; /* NULL: nobody to forward to */
    struct link held;      /* clients, oldest first */
    uint32_t n_held;
    struct link watchers; /* clients */
    uint32_t n_watchers;
    struct limits_address *held_in_all,
        *watchers_in_all;        /* by all loops, while there are any here */
    uint64_t asked_ms, woken_ms; /* when RESOLVE and WAKE were sent last; 0: never */
    struct limits_address *cold; /* this loop counts the cold start, of those that woke the Space */
    struct timer retry;
    char *lines; /* the last WAIT_LINEs, each ended by \n; NULL while nobody waits */
    uint32_t lines_len;
};
#define ROUTE_TX_RESOLVE 1
#define ROUTE_TX_WAKE 2

int routes_new(struct loop *l, struct err *err);
void routes_free(struct loop *l);

/* The route of a label (lower case), made and asked for if it is not there. NULL without memory or
 * where every route is in use. */
struct route *route_get(struct loop *l, const char *label, size_t len);
/* Only if it is there; does not count as use. */
struct route *route_find(struct loop *l, const char *label);
/* A ROUTE message. Takes the dial socket out of the message if it wants it. */
void route_update(struct loop *l, struct proto_msg *m);
/* A WAIT_LINE message. */
void route_line(struct loop *l, const struct proto_wait_line *m);
/* The runner was replaced: every label is asked for again. */
void routes_ask_again(struct loop *l);
/* What it says is not true any more: asked for again, at once if somebody waits. */
void route_forget(struct route *r);
/* Somebody waits for a worker: asks for the route, or wakes, if that was not done just now. */
void route_want(struct route *r);
