/* The event loop: descriptors by epoll, timers in a heap. One thread; nothing that runs in it may
 * block. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct loop_io; /* a watched descriptor; owned by the loop from loop_add to loop_del */

typedef void (*loop_io_fn)(void *arg, uint32_t events);
typedef void (*loop_timer_fn)(void *arg);

/* Embedded in its owner, zeroed at birth, with fn and arg set once; the owner cancels it before it
 * goes away. It fires once for each time it is set. */
struct loop_timer {
    loop_timer_fn fn;
    void *arg;
    uint64_t due_us; /* CLOCK_MONOTONIC */
    size_t place;    /* 1 + index in the heap; 0: not set */
};

int loop_new(struct loop **ret, struct err *err);
void loop_free(struct loop *l);

/* Calls fn(arg, events) whenever `fd` has `events` (EPOLLIN ...; EPOLLHUP and EPOLLERR always).
 * The descriptor stays the caller's. NULL with err set on failure. */
struct loop_io *loop_add(struct loop *l, int fd, uint32_t events, loop_io_fn fn, void *arg,
                         struct err *err);
int loop_mod(struct loop *l, struct loop_io *io, uint32_t events, struct err *err);
/* From here on fn is not called, whatever epoll has already reported; call it before closing the
 * descriptor. `*io` becomes NULL; NULL is fine. */
void loop_del(struct loop *l, struct loop_io **io);
/* True once loop_del was called on it: for who dispatches several messages of one descriptor in a
 * row. Valid until the callback returns. */
bool loop_io_is_dead(const struct loop_io *io);

/* (Re)sets the timer; UINT64_MAX ms means never. Returns 0 or -ENOMEM (then it is not set). */
int loop_timer_set_us(struct loop *l, struct loop_timer *t, uint64_t in_us);
int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t in_ms);
void loop_timer_cancel(struct loop *l, struct loop_timer *t);
static inline bool loop_timer_is_set(const struct loop_timer *t)
{
    return t->place > 0;
}

/* Runs until loop_stop. 0 or a negative errno of epoll itself. */
int loop_run(struct loop *l, struct err *err);
void loop_stop(struct loop *l);
