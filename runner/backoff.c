#include "runner/backoff.h"

#include <stdlib.h>
#include <string.h>

/* first, 2 first, 4 first, ... at most max */
static uint64_t pause_of(const struct backoff_rules *r, uint64_t nth)
{
    uint64_t pause = r->backoff_first_ms;
    while (--nth && pause < r->backoff_max_ms)
        pause *= 2;
    return pause < r->backoff_max_ms ? pause : r->backoff_max_ms;
}

struct backoff_verdict backoff_failed_start(struct backoff *b, const struct backoff_rules *r)
{
    b->failed_starts++;
    return (struct backoff_verdict){.give_up = b->failed_starts >= r->start_tries,
                                    .pause_ms = pause_of(r, b->failed_starts)};
}

struct backoff_verdict backoff_crash(struct backoff *b, const struct backoff_rules *r,
                                     uint64_t now_ms)
{
    uint64_t old = 0;
    while (old < b->n_crashes && now_ms > b->crashes_ms[old] &&
           now_ms - b->crashes_ms[old] > r->crash_window_ms)
        old++;
    if (b->n_crashes - old >= BACKOFF_MAX_CRASHES)
        old++;
    if (old) {
        b->n_crashes -= old;
        memmove(b->crashes_ms, b->crashes_ms + old, b->n_crashes * sizeof(uint64_t));
    }
    uint64_t *list = reallocarray(b->crashes_ms, b->n_crashes + 1, sizeof(uint64_t));
    if (list) { /* without memory this crash is not counted: rather one try too many */
        b->crashes_ms = list;
        list[b->n_crashes++] = now_ms;
    }
    return (struct backoff_verdict){.give_up = b->n_crashes >= r->crash_limit,
                                    .pause_ms = pause_of(r, b->n_crashes ? b->n_crashes : 1)};
}

uint64_t backoff_hold_up(struct backoff *b, const struct backoff_rules *r)
{
    return pause_of(r, ++b->hold_ups);
}

void backoff_ready(struct backoff *b)
{
    b->hold_ups = 0;
    b->failed_starts = 0;
}

void backoff_forgive(struct backoff *b)
{
    free(b->crashes_ms);
    *b = (struct backoff){0};
}

uint64_t backoff_count(const struct backoff *b)
{
    return b->failed_starts + b->n_crashes;
}
