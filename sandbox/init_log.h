/* The run log of a worker: two files ("parts") written in turn, each at most half of the log's
 * size, every line with its time, and never more than a rate: what comes faster is dropped and
 * counted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct init_log {
    int fd[2];           /* not owned */
    uint64_t part_bytes; /* of one part */
    uint64_t rate;       /* bytes a second; 0: no limit */
    uint64_t used;       /* in the current part */
    int current;
    uint64_t tokens, filled_us; /* the bucket holds one second's worth */
    uint64_t dropped;           /* since it was last said */
    bool was_too_fast;          /* ever: something was dropped for the rate */
    bool mid_line;              /* the last byte written was no newline */
};

/* Goes on at the end of part 0. */
void init_log_open(struct init_log *l, const int fd[2], uint64_t bytes, uint64_t rate);
/* Takes what the program wrote. */
void init_log_write(struct init_log *l, const char *data, size_t len);
/* A line of our own, whatever the rate. */
void init_log_note(struct init_log *l, const char *text);
/* Says what was dropped, if there is room again (or `now`): called at the latest after
 * init_log_wait_ms. */
void init_log_tick(struct init_log *l, bool now);
/* -1: nothing is waiting. */
int init_log_wait_ms(const struct init_log *l);
