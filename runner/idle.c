#include "runner/idle.h"

#include "common/cleanup.h"
#include "common/conf.h"
#include "common/util.h"
#include "runner/budget.h"
#include "runner/control.h"
#include "runner/events.h"
#include "runner/gateway.h"
#include "runner/gpus.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 10000     /* an answer that is not there by then is asked for again */
#define NO_GATEWAY_MS 60000 /* without a gateway for so long nobody can be using anything */
#define DRAIN_ASK_MS 250
#define ROOM_IDLE_MS 1000 /* idle for less is in use, even if others wait for a place */
#define SOONEST_MS 20

static bool nobody_can_use_it(const struct runner *r)
{
    return r->gateway_gone_ms && mono_ms() - r->gateway_gone_ms >= NO_GATEWAY_MS;
}

/* What that gateway told of it; NULL without memory. */
static struct worker_use *use_of(struct worker *w, const struct gateway *g)
{
    if (g->index >= w->n_use) {
        struct worker_use *more = realloc(w->use, (g->index + 1) * sizeof(*more));
        if (!more)
            return NULL;
        memset(more + w->n_use, 0, (g->index + 1 - w->n_use) * sizeof(*more));
        w->use = more;
        w->n_use = g->index + 1;
    }
    return &w->use[g->index];
}

/* Asks every gateway. False where none could be asked. */
static bool ask(struct worker *w, uint64_t min_idle_ms)
{
    struct proto_sleep_ask m = {
        .space_id = w->space->id, .worker_id = w->id, .min_idle_ms = min_idle_ms};
    bool asked = false;
    for (struct gateway *g = w->r->gateways; g; g = g->next) {
        struct worker_use *u = use_of(w, g);
        if (!u)
            return false;
        if (!u->asked) {
            u->asked = link_send(&g->link, PROTO_SLEEP_ASK, &m, NULL, 0) == 0;
            u->keeps = !u->asked;
        }
        asked |= u->asked;
    }
    w->asked |= asked;
    return asked;
}

void idle_routed(struct worker *w, const struct gateway *g)
{
    struct worker_use *u = use_of(w, g);
    if (u)
        u->keeps = true;
}

static void sum_refs(struct worker *w)
{
    w->refs = 0;
    for (unsigned i = 0; i < w->n_use; i++)
        w->refs += w->use[i].refs;
    w->busy = w->refs > 0;
}

static bool all_answered(const struct worker *w)
{
    for (unsigned i = 0; i < w->n_use; i++)
        if (w->use[i].asked)
            return false;
    return true;
}

static bool all_let_go(const struct worker *w)
{
    for (unsigned i = 0; i < w->n_use; i++)
        if (w->use[i].keeps)
            return false;
    return true;
}

static void let_go(struct worker *w)
{
    if (w->draining)
        worker_stop(w, conf_of(w->r)->lifecycle_stop_grace);
    else if (w == w->space->cur)
        space_event(w->space, EV_IDLE, &(struct space_what){0}, NULL);
}

static void drain_step(struct worker *w)
{
    uint64_t now = mono_ms();
    if (now >= w->drain_until_ms || nobody_can_use_it(w->r)) {
        if (w->busy)
            event_add(w->r, w->space, w->id, "worker.drain",
                      "streams that were still open are cut: drain_timeout is over");
        let_go(w);
        return;
    }
    if (!w->asked)
        ask(w, 0);
    uint64_t left = w->drain_until_ms - now;
    loop_timer_set(w->r->loop, &w->idle_timer, left < DRAIN_ASK_MS ? left : DRAIN_ASK_MS);
}

static void serve_step(struct worker *w)
{
    struct space *s = w->space;
    uint64_t again_ms = ANSWER_MS;
    if (w != s->cur)
        return;
    if (s->state != LC_RUNNING) /* its successor is on its way: it is needed until then */
        again_ms = 1000;
    else if (nobody_can_use_it(w->r) && mono_ms() - w->active_ms >= s->sleep_after_ms) {
        let_go(w);
        return;
    } else if (!ask(w, s->sleep_after_ms))
        again_ms = 1000;
    loop_timer_set(w->r->loop, &w->idle_timer, again_ms);
}

static void on_timer(void *arg)
{
    struct worker *w = arg;
    if (w->draining)
        drain_step(w);
    else
        serve_step(w);
}

/* The next question, when the answer may be yes at the earliest. */
static void watch_from(struct worker *w, uint64_t idle_ms)
{
    uint64_t after = w->space->sleep_after_ms;
    loop_timer_set(w->r->loop, &w->idle_timer,
                   after == CONF_NEVER            ? after
                   : after > idle_ms + SOONEST_MS ? after - idle_ms
                                                  : SOONEST_MS);
}

void idle_watch(struct worker *w)
{
    w->idle_timer = (struct loop_timer){.fn = on_timer, .arg = w};
    watch_from(w, 0);
}

void idle_retime(struct worker *w)
{
    uint64_t now = mono_ms();
    if (!w->asked && !w->draining)
        watch_from(w, w->busy || w->active_ms > now ? 0 : now - w->active_ms);
}

void idle_drain(struct worker *w)
{
    uint64_t timeout = conf_of(w->r)->lifecycle_drain_timeout, now = mono_ms();
    loop_timer_cancel(w->r->loop, &w->idle_timer);
    w->idle_timer = (struct loop_timer){.fn = on_timer, .arg = w};
    w->draining = true;
    w->asked = false;
    w->drain_until_ms = timeout > UINT64_MAX - now ? UINT64_MAX : now + timeout;
    drain_step(w);
}

void idle_answer(struct gateway *g, const struct proto_sleep_answer *m)
{
    struct worker *w = worker_by_id(g->r, m->worker_id);
    struct worker_use *u = w && w->space && w->state != WORKER_STOPPING ? use_of(w, g) : NULL;
    if (!u || !u->asked)
        return;
    uint64_t now = mono_ms();
    u->asked = false;
    u->refs = m->refs;
    if (!m->released) {
        u->keeps = true;
        uint64_t active_ms = m->refs ? now : m->idle_ms < now ? now - m->idle_ms : 0;
        if (active_ms > w->active_ms)
            w->active_ms = active_ms;
    }
    sum_refs(w);
    if (!w->asked || !all_answered(w))
        return;
    w->asked = false;
    if (all_let_go(w) && (w->draining || w->space->state == LC_RUNNING ||
                          (w->space->state == LC_SWITCHING &&
                           (w->space->claim.waits || w->space->gpu_claim.waits)))) {
        let_go(w);
        return;
    }
    if (!w->draining) {
        idle_retime(w);
        idle_make_room(w->r); /* the next one, if this was asked for its place */
    }
}

/* How much more than last time; all of it where it forgot the worker, and learnt of it anew. */
static uint64_t more(uint64_t now, uint64_t before, bool anew)
{
    return anew || now < before ? now : now - before;
}

void idle_counters(struct gateway *g, const struct proto_counters *m)
{
    struct worker *w = worker_by_id(g->r, m->worker_id);
    struct worker_use *u = w && w->space ? use_of(w, g) : NULL;
    if (!u)
        return;
    bool anew = m->requests < u->requests;
    if (m->requests != u->requests || m->refs)
        w->active_ms = mono_ms();
    worker_look(w);
    w->requests += more(m->requests, u->requests, anew);
    w->bytes_in += more(m->bytes_in, u->bytes_in, anew);
    w->bytes_out += more(m->bytes_out, u->bytes_out, anew);
    u->requests = m->requests;
    u->bytes_in = m->bytes_in;
    u->bytes_out = m->bytes_out;
    u->refs = m->refs;
    sum_refs(w);
    if (w->draining && !w->busy && !w->asked)
        drain_step(w);
}

void idle_gateway_first(struct runner *r)
{
    for (struct worker *w = r->workers; w; w = w->next)
        if (w->space && w == w->space->cur && w->state == WORKER_READY)
            watch_from(w, 0); /* its clock begins now */
}

void idle_gateway_gone(const struct gateway *g)
{
    for (struct worker *w = g->r->workers; w; w = w->next) {
        struct worker_use *u = g->index < w->n_use ? &w->use[g->index] : NULL;
        if (!u)
            continue;
        if (u->refs) /* whose visitors come back, perhaps */
            w->active_ms = mono_ms();
        *u = (struct worker_use){0};
        sum_refs(w);
        if (!w->asked || !all_answered(w))
            continue;
        w->asked = false; /* to be asked anew */
        if (!w->draining && w->space && w == w->space->cur)
            idle_retime(w);
    }
}

static void on_room_timer(void *arg)
{
    struct runner *r = arg;
    gpus_look(r); /* one may have been put in, or out */
    gpus_tell(r);
    space_serve_line(r);
    idle_make_room(r);
}

/* The first in the line for GPUs replaces a version that has the ones which it needs, and that is
 * used on and on: its streams may go on for as long as those of one that was replaced. */
static void end_own_version(struct runner *r)
{
    struct space *s = r->gpu_line.first->arg;
    struct worker *w = s->cur;
    if (s->state != LC_SWITCHING || !w || !w->n_gpus ||
        mono_ms() - s->gpu_since_ms < conf_of(r)->lifecycle_drain_timeout)
        return;
    event_add(
        r, s, w->id, "worker.drain",
        "streams that were still open are cut: drain_timeout is over, and its successor waits "
        "for its GPU");
    let_go(w);
}

/* The serving worker (that has GPUs) that was not in use for the longest time; NULL where none may
 * be asked. */
static struct worker *victim(const struct runner *r, bool with_gpus)
{
    size_t n = 0, i = 0;
    uint64_t now = mono_ms();
    for (struct worker *w = r->workers; w; w = w->next)
        n++;
    _cleanup_free_ struct worker **list = calloc(n + 1, sizeof(struct worker *));
    _cleanup_free_ struct budget_candidate *c = calloc(n + 1, sizeof(*c));
    if (!list || !c)
        return NULL;
    for (struct worker *w = r->workers; w; w = w->next) {
        if (!w->space || w != w->space->cur || w->state != WORKER_READY ||
            (with_gpus && !w->n_gpus))
            continue;
        list[i] = w;
        c[i++] = (struct budget_candidate){.active_ms = w->active_ms,
                                           .asked = w->asked || w->busy ||
                                                    now - w->active_ms < ROOM_IDLE_MS};
    }
    int found = budget_victim(c, i);
    return found >= 0 ? list[found] : NULL;
}

void idle_make_room(struct runner *r)
{
    if ((!r->budget.waiting && !r->gpu_line.waiting) || r->stopping)
        return;
    uint64_t ending = 0, ending_gpus = 0;
    for (struct worker *w = r->workers; w; w = w->next) {
        bool ends = w->space && (w->state == WORKER_STOPPING || w->asked);
        ending += ends;
        ending_gpus += ends ? w->n_gpus : 0;
    }
    struct worker *w;
    if (ending_gpus < gpus_short(r)) {
        w = victim(r, true);
        if (w)
            ending += ask(w, ROOM_IDLE_MS);
        else
            end_own_version(r);
    }
    if (ending < r->budget.waiting && (w = victim(r, false)))
        ask(w, ROOM_IDLE_MS);
    r->room_timer.fn = on_room_timer;
    r->room_timer.arg = r;
    if (!loop_timer_is_set(&r->room_timer))
        loop_timer_set(r->loop, &r->room_timer, ROOM_IDLE_MS);
}
