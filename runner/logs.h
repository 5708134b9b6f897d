/* The logs of Spaces: DATA/logs/SPACE_ID/WORKER_ID.0.log and .1.log, the two parts that PID 1 of a
 * worker fills in turn (a log is bounded, and outlives the worker); build.log, which is written
 * here. Spaces' own bytes: read without following links. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct runner;

/* Makes both parts and opens them for PID 1 to append to. */
int logs_open_parts(struct runner *r, uint64_t space_id, uint64_t worker_id, int fds[2],
                    struct err *err);

/* Both parts for reading, the older one first; `*ret_current` is the one that grows. -ENOENT where
 * there is none. */
int logs_open_run(struct runner *r, uint64_t space_id, uint64_t worker_id, int fds[2],
                  unsigned *ret_current, struct err *err);
int logs_open_build(struct runner *r, uint64_t space_id, struct err *err);

/* Keeps the newest `keep` run logs of the Space and those of workers that still run. */
void logs_prune(struct runner *r, uint64_t space_id, uint64_t keep);

/* The last `lines` lines of a worker's run log, without their time stamps. */
void logs_last_lines(struct runner *r, uint64_t space_id, uint64_t worker_id, unsigned lines,
                     char *out, size_t size);

/* Where a reader who wants only what is new has got to; zeroed at birth. */
struct log_tail {
    uint64_t offset[2];
};
/* Calls fn for every whole line since the last call, without its time stamp, at most 100. */
void logs_tail(struct runner *r, uint64_t space_id, uint64_t worker_id, struct log_tail *t,
               void (*fn)(void *arg, const char *line), void *arg);

/* One line into build.log. `fresh` begins a new one. */
void logs_build(struct runner *r, uint64_t space_id, bool fresh, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
