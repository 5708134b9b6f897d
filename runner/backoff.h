/* When to try again after a crash or a failed start, and when to give up. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_MAX_CRASHES 1000 /* = the most of lifecycle.crash_limit */

struct backoff_rules { /* the options of the same names, section [lifecycle] */
    uint64_t start_tries;
    uint64_t crash_limit;
    uint64_t crash_window_ms;
    uint64_t backoff_first_ms;
    uint64_t backoff_max_ms;
};

/* Zeroed at birth. Owns its list: backoff_forgive releases it. */
struct backoff {
    uint64_t failed_starts; /* in a row, of a version that never was ready */
    uint64_t *crashes_ms;   /* within the window, oldest first */
    uint64_t n_crashes;
    uint64_t hold_ups; /* in a row: starts that the platform could not try */
};

struct backoff_verdict {
    bool give_up;
    uint64_t pause_ms; /* before the next try */
};

/* A version that never was ready did not come up. */
struct backoff_verdict backoff_failed_start(struct backoff *b, const struct backoff_rules *r);
/* A worker ended by itself, or one did not come up of a version that did before. */
struct backoff_verdict backoff_crash(struct backoff *b, const struct backoff_rules *r,
                                     uint64_t now_ms);
/* The platform itself was in the way (no disk, no descriptors): the pause until the next try. It
 * grows, but nothing is given up, and it counts as no failure of the Space. */
uint64_t backoff_hold_up(struct backoff *b, const struct backoff_rules *r);
/* A worker is ready. Crashes stay: they leave by time. */
void backoff_ready(struct backoff *b);
/* The owner asked for a start: all is forgotten. */
void backoff_forgive(struct backoff *b);
/* Failures in a row as people would count them. */
uint64_t backoff_count(const struct backoff *b);
