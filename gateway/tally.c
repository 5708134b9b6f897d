#include "tally.h"

#include "runner.h"
#include "common/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024
#define TELL_MS 1000

struct tallies {
    struct loop *loop;
    struct link dirty;
    struct timer tick;
    struct tally *buckets[BUCKETS];
    struct tally site, none;
    struct proto_gateway_stat stat; /* accepted, turned_away: unsaid; the rest: as it was said */
};

static void set_tick(struct tallies *ts)
{
    if (!timer_is_set(&ts->tick))
        timer_set(ts->loop->wheel, &ts->tick, ts->loop->now_ms + TELL_MS);
}

static void on_tick(struct timer *t)
{
    tallies_flush(container_of(t, struct tallies, tick)->loop);
}

int tallies_new(struct loop *l, struct err *err)
{
    struct tallies *ts = calloc(1, sizeof(*ts));
    if (!ts)
        return err_set(err, ENOMEM, "no memory for the counters");
    l->tallies = ts;
    ts->loop = l;
    list_init(&ts->dirty);
    ts->tick.on_fire = on_tick;
    ts->site.refs = ts->none.refs = 1;
    memcpy(ts->site.space, TALLY_SITE, sizeof(TALLY_SITE));
    memcpy(ts->none.space, TALLY_NONE, sizeof(TALLY_NONE));
    return 0;
}

void tallies_free(struct loop *l)
{
    struct tallies *ts = l->tallies;
    if (!ts)
        return;
    timer_cancel(l->wheel, &ts->tick);
    for (unsigned i = 0; i < BUCKETS; i++)
        while (ts->buckets[i]) {
            struct tally *t = ts->buckets[i];
            ts->buckets[i] = t->next_hash;
            free(t);
        }
    free(steal_ptr(l->tallies));
}

static void drop_if_unused(struct tallies *ts, struct tally *t)
{
    if (t->refs || list_linked(&t->dirty))
        return;
    struct tally **p = &ts->buckets[t->space_id % BUCKETS];
    while (*p != t)
        p = &(*p)->next_hash;
    *p = t->next_hash;
    free(t);
}

struct tally *tally_of(struct loop *l, uint64_t space_id, const char *space)
{
    struct tallies *ts = l->tallies;
    struct tally *t = ts->buckets[space_id % BUCKETS];
    while (t && t->space_id != space_id)
        t = t->next_hash;
    if (!t) {
        t = calloc(1, sizeof(*t));
        if (!t)
            return NULL;
        t->space_id = space_id;
        t->next_hash = ts->buckets[space_id % BUCKETS];
        ts->buckets[space_id % BUCKETS] = t;
    }
    memcpy(t->space, space,
           strnlen(space, sizeof(t->space) - 1) + 1); /* it may have been renamed */
    t->refs++;
    return t;
}

void tally_unref(struct loop *l, struct tally *t)
{
    t->refs--;
    drop_if_unused(l->tallies, t);
}

struct tally *tally_site(struct loop *l)
{
    return &l->tallies->site;
}

struct tally *tally_none(struct loop *l)
{
    return &l->tallies->none;
}

void tally_touch(struct loop *l, struct tally *t)
{
    struct tallies *ts = l->tallies;
    if (list_linked(&t->dirty))
        return;
    list_push_back(&ts->dirty, &t->dirty);
    set_tick(ts);
}

void tally_accepted(struct loop *l)
{
    l->tallies->stat.accepted++;
    set_tick(l->tallies);
}

void tally_turned_away(struct loop *l)
{
    l->tallies->stat.turned_away++;
    set_tick(l->tallies);
}

void tally_closed(struct loop *l)
{
    set_tick(l->tallies);
}

/* False where it was to be said and could not be. */
static bool tell_stat(struct loop *l)
{
    struct proto_gateway_stat *s = &l->tallies->stat, now = *s;
    now.connections = l->n_clients;
    now.held = l->n_held;
    if (!s->accepted && !s->turned_away && s->connections == now.connections && s->held == now.held)
        return true;
    if (!runner_stat(l, &now))
        return false;
    *s = (struct proto_gateway_stat){.connections = now.connections, .held = now.held};
    return true;
}

void tallies_flush(struct loop *l)
{
    struct tallies *ts = l->tallies;
    while (!list_empty(&ts->dirty)) {
        struct tally *t = container_of(ts->dirty.next, struct tally, dirty);
        if (!runner_tally(l, t))
            break; /* there is no runner, or no room: at the next tick */
        memset(&t->counts, 0, sizeof(t->counts));
        list_remove(&t->dirty);
        drop_if_unused(ts, t);
    }
    bool told = tell_stat(l);
    if (!list_empty(&ts->dirty) || !told)
        set_tick(ts);
}

void tallies_tell_again(struct loop *l)
{
    struct tallies *ts = l->tallies;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct tally *t = ts->buckets[i]; t; t = t->next_hash)
            if (t->in_flight)
                tally_touch(l, t);
    if (ts->site.in_flight)
        tally_touch(l, &ts->site);
    ts->stat.connections = ts->stat.held = UINT32_MAX; /* it has not been told */
    set_tick(ts);
}
