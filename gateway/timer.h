/* A timer wheel: setting, moving and cancelling a deadline cost a few stores, whatever their
 * number.
 *
 * A deadline that is moved later stays in its old slot and is only looked at again when that comes
 * round: what happens with each request (a new idle deadline) is one store. */
#pragma once

#include "list.h"

#include <stdint.h>

#define TIMER_TICK_MS 8
#define TIMER_SLOTS 4096 /* 32 s; later deadlines go round */

struct timer {
    struct link link;
    uint64_t deadline_ms; /* mono_ms */
    uint64_t slot_tick;   /* where it is linked */
    void (*on_fire)(struct timer *t);
};

struct timer_wheel {
    uint64_t tick; /* all slots before it are done */
    uint32_t n;
    uint64_t used[TIMER_SLOTS / 64]; /* a slot's bit is set while it may hold something */
    struct link slots[TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms);
/* Fires once at or shortly after `deadline_ms`; replaces an earlier deadline. */
void timer_set(struct timer_wheel *w, struct timer *t, uint64_t deadline_ms);
void timer_cancel(struct timer_wheel *w, struct timer *t);
static inline bool timer_is_set(const struct timer *t)
{
    return list_linked(&t->link);
}
/* Fires what is due; a timer is not set any more when its on_fire is called. */
void timer_run(struct timer_wheel *w, uint64_t now_ms);
/* When something may be due (mono_ms); UINT64_MAX where nothing is set. */
uint64_t timer_due_ms(const struct timer_wheel *w);
