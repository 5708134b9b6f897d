/* The way out of one sandbox that works on a build: a filtering proxy (egress/main.c) on a port of
 * the sandbox's own loopback, so that nobody else reaches it. It ends with the build and with this
 * runner. */
#pragma once

#include "common/err.h"

#include <stdint.h>

#define EGRESS_PORT 3128
#define EGRESS_URL "http://127.0.0.1:3128"

struct buf;
struct egress;
struct runner;
struct worker;

/* Called from the loop; each may end the egress. */
struct egress_hooks {
    /* a line for the build's log: what was refused, what failed */
    void (*on_say)(void *arg, const char *line);
    /* it ended by itself, or could not be started: no build goes on without. The egress is still
     * the caller's to end. */
    void (*on_end)(void *arg, const char *why);
    /* what it lets through; NULL: indexes_policy */
    int (*policy)(struct runner *r, struct buf *out);
    void *arg;
};

struct egress_counts {
    uint64_t connections, bytes_in, bytes_out;
    uint64_t refused;        /* requests for what is not allowed */
    char first_refused[272]; /* HOST:PORT, "" for none */
};

/* As soon as the worker was started (worker_start): its PID 1 need not be there yet. The START is
 * to have what indexes_fill adds. */
int egress_begin(struct egress **ret, struct worker *w, const struct egress_hooks *hooks,
                 struct err *err);
/* Ends the process and takes it down; no hook is called any more. Sets *e to NULL; NULL is fine. To
 * be called before the worker is gone. */
void egress_end(struct egress **e);
const struct egress_counts *egress_counts(const struct egress *e);
