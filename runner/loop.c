#include "runner/loop.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define BATCH 64

struct loop_io {
    int fd;
    bool dead;
    loop_io_fn fn;
    void *arg;
    struct loop_io *next_dead;
};

struct loop {
    int epoll;
    bool stop;
    struct loop_io *dead; /* freed after the batch that may still name them */
    struct loop_timer **heap;
    size_t timers, cap;
};

int loop_new(struct loop **ret, struct err *err)
{
    struct loop *l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(err, ENOMEM, "no memory for the event loop");
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0) {
        int r = err_errno(err, "cannot make an epoll descriptor");
        free(l);
        return r;
    }
    *ret = l;
    return 0;
}

static void bury(struct loop *l)
{
    while (l->dead) {
        struct loop_io *io = l->dead;
        l->dead = io->next_dead;
        free(io);
    }
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    bury(l);
    close_fd(&l->epoll);
    free(l->heap);
    free(l);
}

struct loop_io *loop_add(struct loop *l, int fd, uint32_t events, loop_io_fn fn, void *arg,
                         struct err *err)
{
    struct loop_io *io = calloc(1, sizeof(*io));
    if (!io) {
        err_set(err, ENOMEM, "no memory to watch a descriptor");
        return NULL;
    }
    *io = (struct loop_io){.fd = fd, .fn = fn, .arg = arg};
    struct epoll_event ev = {.events = events, .data.ptr = io};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
        err_errno(err, "cannot watch descriptor %d", fd);
        free(io);
        return NULL;
    }
    return io;
}

int loop_mod(struct loop *l, struct loop_io *io, uint32_t events, struct err *err)
{
    struct epoll_event ev = {.events = events, .data.ptr = io};
    if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, io->fd, &ev) < 0)
        return err_errno(err, "cannot watch descriptor %d", io->fd);
    return 0;
}

void loop_del(struct loop *l, struct loop_io **io)
{
    if (!*io)
        return;
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, (*io)->fd, NULL);
    (*io)->dead = true;
    (*io)->next_dead = l->dead;
    l->dead = *io;
    *io = NULL;
}

bool loop_io_is_dead(const struct loop_io *io)
{
    return io->dead;
}

/* ---- timers: a binary heap by due time ---- */

static void put(struct loop *l, size_t i, struct loop_timer *t)
{
    l->heap[i] = t;
    t->place = i + 1;
}

static void sift_up(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap[i];
    while (i && l->heap[(i - 1) / 2]->due_us > t->due_us) {
        put(l, i, l->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(l, i, t);
}

static void sift_down(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= l->timers)
            break;
        if (child + 1 < l->timers && l->heap[child + 1]->due_us < l->heap[child]->due_us)
            child++;
        if (l->heap[child]->due_us >= t->due_us)
            break;
        put(l, i, l->heap[child]);
        i = child;
    }
    put(l, i, t);
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
    if (!t->place)
        return;
    size_t i = t->place - 1;
    t->place = 0;
    struct loop_timer *last = l->heap[--l->timers];
    if (last == t)
        return;
    put(l, i, last);
    sift_up(l, i);
    sift_down(l, last->place - 1);
}

int loop_timer_set_us(struct loop *l, struct loop_timer *t, uint64_t in_us)
{
    loop_timer_cancel(l, t);
    if (l->timers == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct loop_timer **heap = reallocarray(l->heap, cap, sizeof(struct loop_timer *));
        if (!heap)
            return -ENOMEM;
        l->heap = heap;
        l->cap = cap;
    }
    uint64_t now = mono_us();
    t->due_us = in_us > UINT64_MAX - now ? UINT64_MAX : now + in_us;
    l->heap[l->timers] = t;
    sift_up(l, l->timers++);
    return 0;
}

int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t in_ms)
{
    if (in_ms == UINT64_MAX) {
        loop_timer_cancel(l, t);
        return 0;
    }
    return loop_timer_set_us(l, t, in_ms > UINT64_MAX / 1000 ? UINT64_MAX : in_ms * 1000);
}

static void run_timers(struct loop *l)
{
    uint64_t now = mono_us();
    while (!l->stop && l->timers && l->heap[0]->due_us <= now) {
        struct loop_timer *t = l->heap[0];
        loop_timer_cancel(l, t);
        t->fn(t->arg);
    }
}

static int wait_ms(const struct loop *l)
{
    if (!l->timers)
        return -1;
    uint64_t now = mono_us(), due = l->heap[0]->due_us;
    if (due <= now)
        return 0;
    uint64_t ms = (due - now + 999) / 1000;
    return ms > 60000 ? 60000 : (int)ms;
}

int loop_run(struct loop *l, struct err *err)
{
    struct epoll_event ev[BATCH];
    while (!l->stop) {
        int n = epoll_wait(l->epoll, ev, BATCH, wait_ms(l));
        if (n < 0 && errno != EINTR)
            return err_errno(err, "epoll_wait failed");
        for (int i = 0; i < n && !l->stop; i++) {
            struct loop_io *io = ev[i].data.ptr;
            if (!io->dead)
                io->fn(io->arg, ev[i].events);
        }
        bury(l);
        run_timers(l);
        bury(l);
    }
    return 0;
}

void loop_stop(struct loop *l)
{
    l->stop = true;
}
