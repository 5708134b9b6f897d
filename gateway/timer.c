#include "timer.h"

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms)
{
    w->tick = now_ms / TIMER_TICK_MS;
    w->n = 0;
    for (unsigned i = 0; i < TIMER_SLOTS / 64; i++)
        w->used[i] = 0;
    for (unsigned i = 0; i < TIMER_SLOTS; i++)
        list_init(&w->slots[i]);
}

static void link_at(struct timer_wheel *w, struct timer *t)
{
    uint64_t tick = t->deadline_ms / TIMER_TICK_MS + 1;
    if (tick < w->tick)
        tick = w->tick;
    if (tick >= w->tick + TIMER_SLOTS)
        tick = w->tick + TIMER_SLOTS - 1;
    t->slot_tick = tick;
    w->used[tick % TIMER_SLOTS / 64] |= UINT64_C(1) << (tick % 64);
    list_push_back(&w->slots[tick % TIMER_SLOTS], &t->link);
}

void timer_set(struct timer_wheel *w, struct timer *t, uint64_t deadline_ms)
{
    t->deadline_ms = deadline_ms;
    if (timer_is_set(t)) {
        if (deadline_ms / TIMER_TICK_MS + 1 >= t->slot_tick)
            return;
        list_remove(&t->link);
    } else {
        w->n++;
    }
    link_at(w, t);
}

void timer_cancel(struct timer_wheel *w, struct timer *t)
{
    if (!timer_is_set(t))
        return;
    list_remove(&t->link);
    w->n--;
}

void timer_run(struct timer_wheel *w, uint64_t now_ms)
{
    uint64_t now_tick = now_ms / TIMER_TICK_MS;

    if (w->n == 0 && w->tick <= now_tick)
        w->tick = now_tick + 1;
    while (w->tick <= now_tick) {
        unsigned slot = (unsigned)(w->tick % TIMER_SLOTS);
        struct link due;
        /* the slot is done before its timers fire: what they set goes into later ones */
        w->tick++;
        if (!(w->used[slot / 64] >> (slot % 64) & 1))
            continue;
        w->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
        list_move_all(&due, &w->slots[slot]);
        while (!list_empty(&due)) {
            struct timer *t = container_of(due.next, struct timer, link);
            list_remove(&t->link);
            if (t->deadline_ms > now_ms) {
                link_at(w, t);
                continue;
            }
            w->n--;
            t->on_fire(t);
        }
    }
}

uint64_t timer_due_ms(const struct timer_wheel *w)
{
    if (w->n == 0)
        return UINT64_MAX;
    unsigned first = (unsigned)(w->tick % TIMER_SLOTS);
    for (unsigned i = 0; i <= TIMER_SLOTS / 64; i++) {
        unsigned word = (first / 64 + i) % (TIMER_SLOTS / 64);
        uint64_t bits = w->used[word];
        if (i == 0)
            bits &= ~UINT64_C(0) << (first % 64);
        else if (i == TIMER_SLOTS / 64)
            bits &= ~(~UINT64_C(0) << (first % 64));
        if (!bits)
            continue;
        unsigned slot = word * 64 + (unsigned)__builtin_ctzll(bits);
        return (w->tick + (slot - first) % TIMER_SLOTS) * TIMER_TICK_MS;
    }
    return w->tick * TIMER_TICK_MS;
}
