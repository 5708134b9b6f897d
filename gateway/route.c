#include "route.h"

#include "limits.h"
#include "runner.h"
#include "tally.h"
#include "wake.h"
#include "worker.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ASK_AGAIN_MS 50 /* least time between two RESOLVEs of a label */
#define WAKE_AGAIN_MS                                                                              \
    2000 /* least time between two WAKEs of a Space, unless it fell asleep again */

struct routes {
    struct link lru; /* most recently used first */
    uint32_t n, n_buckets;
    struct route **buckets;  /* by label */
    struct route **by_space; /* by space_id, those that have one */
};

static void on_retry(struct timer *t);

int routes_new(struct loop *l, struct err *err)
{
    struct routes *rs = calloc(1, sizeof(*rs));
    if (!rs)
        return err_set(err, ENOMEM, "no memory for the routes");
    l->routes = rs;
    list_init(&rs->lru);
    rs->n_buckets = 64;
    while (rs->n_buckets < l->conf->gateway_route_cache)
        rs->n_buckets *= 2;
    rs->buckets = calloc(rs->n_buckets, sizeof(*rs->buckets));
    rs->by_space = calloc(rs->n_buckets, sizeof(*rs->by_space));
    if (!rs->buckets || !rs->by_space)
        return err_set(err, ENOMEM, "no memory for the routes");
    return 0;
}

static struct route **bucket_of(struct routes *rs, const char *label, size_t len)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)label[i]) * 16777619u;
    return &rs->buckets[h & (rs->n_buckets - 1)];
}

static void set_space(struct routes *rs, struct route *r, uint64_t space_id)
{
    if (r->space_id == space_id)
        return;
    if (r->space_id) {
        struct route **p = &rs->by_space[r->space_id & (rs->n_buckets - 1)];
        while (*p != r)
            p = &(*p)->next_space;
        *p = r->next_space;
    }
    r->space_id = space_id;
    if (space_id) {
        struct route **p = &rs->by_space[space_id & (rs->n_buckets - 1)];
        r->next_space = *p;
        *p = r;
    }
}

/* Its counters, by what it is called now. */
static void set_tally(struct route *r)
{
    struct tally *old = r->tally;
    r->tally = r->space_id ? tally_of(r->loop, r->space_id, r->space) : NULL;
    if (old)
        tally_unref(r->loop, old);
}

/* What it was woken for is over. */
static void slept(struct route *r)
{
    r->woken_ms = 0;
    if (r->cold)
        limits_leave(steal_ptr(r->cold));
}

static void drop(struct loop *l, struct route *r)
{
    struct routes *rs = l->routes;
    struct route **p = bucket_of(rs, r->label, strlen(r->label));
    while (*p != r)
        p = &(*p)->next_hash;
    *p = r->next_hash;
    set_space(rs, r, 0);
    set_tally(r);
    slept(r);
    if (r->worker)
        worker_retire(r->worker);
    list_remove(&r->lru);
    list_remove(&r->tx);
    timer_cancel(l->wheel, &r->retry);
    rs->n--;
    free(r->lines);
    free(r);
}

void routes_free(struct loop *l)
{
    struct routes *rs = l->routes;
    while (!list_empty(&rs->lru))
        drop(l, container_of(rs->lru.next, struct route, lru));
    free(rs->buckets);
    free(rs->by_space);
    free(rs);
    l->routes = NULL;
}

/* Room for one more: the least recently used that nobody uses goes. */
static bool make_room(struct loop *l)
{
    struct routes *rs = l->routes;
    struct link *at = rs->lru.prev, *next;

    if (rs->n < l->conf->gateway_route_cache)
        return true;
    for (int tries = 0; at != &rs->lru && tries < 64; tries++, at = next) {
        struct route *r = container_of(at, struct route, lru);
        next = at->prev;
        if (r->pins || r->n_held || r->n_watchers || (r->worker && r->worker->refs)) {
            /* out of the way of the next search */
            list_remove(at);
            list_push_front(&rs->lru, at);
            continue;
        }
        drop(l, r);
        return true;
    }
    return false;
}

static struct route *find(struct routes *rs, const char *label, size_t len)
{
    struct route *r = *bucket_of(rs, label, len);
    while (r && (memcmp(r->label, label, len) != 0 || r->label[len] != '\0'))
        r = r->next_hash;
    return r;
}

struct route *route_find(struct loop *l, const char *label)
{
    return find(l->routes, label, strlen(label));
}

struct route *route_get(struct loop *l, const char *label, size_t len)
{
    struct routes *rs = l->routes;
    struct route *r = len < sizeof(r->label) ? find(rs, label, len) : NULL;

    if (r) {
        /* names that nobody has must not push out those that somebody has: they never move up */
        if (rs->lru.next != &r->lru && r->space_id) {
            list_remove(&r->lru);
            list_push_front(&rs->lru, &r->lru);
        }
        return r;
    }
    if (len >= sizeof(r->label) || !make_room(l))
        return NULL;
    r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->loop = l;
    memcpy(r->label, label, len);
    list_init(&r->held);
    list_init(&r->watchers);
    r->retry.on_fire = on_retry;
    list_push_back(&rs->lru, &r->lru);
    struct route **bucket = bucket_of(rs, label, len);
    r->next_hash = *bucket;
    *bucket = r;
    rs->n++;
    return r;
}

/* ---- what goes to the runner ---- */

static void send_soon(struct route *r, uint8_t what)
{
    struct runner *runner = r->loop->runner;
    r->tx_want |= what;
    if (!list_linked(&r->tx))
        list_push_back(&runner->tx, &r->tx);
    if (what & ROUTE_TX_RESOLVE) {
        r->asked_ms = r->loop->now_ms;
        r->resolving = true;
    }
    if (what & ROUTE_TX_WAKE) {
        r->woken_ms = r->loop->now_ms;
        if (!r->cold)
            r->cold = limits_enter_named(r->loop->limits, 'c', r->label, 1);
    }
    runner_flush(r->loop);
}

/* Sends now, or when `pause_ms` have passed since it was sent last. */
static void send_paced(struct route *r, uint8_t what, uint64_t last_ms, uint64_t pause_ms)
{
    if (!last_ms || r->loop->now_ms - last_ms >= pause_ms)
        send_soon(r, what);
    else if (!timer_is_set(&r->retry) || r->retry.deadline_ms > last_ms + pause_ms)
        timer_set(r->loop->wheel, &r->retry, last_ms + pause_ms);
}

void route_want(struct route *r)
{
    if (r->worker)
        return;
    if (!r->known) {
        /* asked once, it is answered; asked again only after it was forgotten. A pause may come
         * first: then it is not asked yet, and who comes next may have to begin anew. */
        if (!r->resolving)
            send_paced(r, ROUTE_TX_RESOLVE, r->asked_ms, ASK_AGAIN_MS);
        return;
    }
    if (!r->wakes)
        return;
    send_paced(r, ROUTE_TX_WAKE, r->woken_ms, WAKE_AGAIN_MS);
    if (!timer_is_set(&r->retry))
        timer_set(r->loop->wheel, &r->retry, r->loop->now_ms + WAKE_AGAIN_MS);
}

static void on_retry(struct timer *t)
{
    struct route *r = container_of(t, struct route, retry);
    if (r->worker || (!r->n_held && !r->n_watchers))
        return;
    route_want(r);
}

void route_forget(struct route *r)
{
    r->known = false;
    r->resolving = false;
    if (r->n_held || r->n_watchers) /* else the next request asks */
        route_want(r);
}

void routes_ask_again(struct loop *l)
{
    struct link *at;
    for (at = l->routes->lru.next; at != &l->routes->lru; at = at->next) {
        struct route *r = container_of(at, struct route, lru);
        slept(r);
        r->asked_ms = l->now_ms;
        r->resolving = true;
        r->tx_want = ROUTE_TX_RESOLVE;
        if (!list_linked(&r->tx))
            list_push_back(&l->runner->tx, &r->tx);
    }
    runner_flush(l);
}

/* ---- what comes from the runner ---- */

static void set_worker(struct route *r, const struct proto_route *m, int *dial_fd)
{
    struct loop *l = r->loop;
    struct worker *w = worker_find(l, m->worker_id), *old = r->worker;

    if (w && w->space_id != m->space_id)
        w = NULL; /* another Space's: nothing of ours goes there */
    else if (w && !w->retired)
        w->port = m->port;
    else if (*dial_fd < 0)
        w = NULL; /* there is no way to it */
    else if (w)
        worker_revive(w, m->port, steal_fd(dial_fd));
    else
        w = worker_new(l, m->worker_id, m->space_id, m->port, steal_fd(dial_fd));
    /* A worker serves one label. The one that it had (the Space was renamed) is asked for again
     * when somebody comes. */
    if (w && w->route && w->route != r) {
        w->route->worker = NULL;
        route_forget(w->route);
    }
    /* first the new one: those who wait for a socket of the old one go on to it */
    r->worker = w;
    if (w)
        w->route = r;
    if (old && old != w)
        worker_retire(old);
}

void route_update(struct loop *l, struct proto_msg *msg)
{
    const struct proto_route *m = &msg->u.route;
    struct route *r = route_find(l, m->label);

    if (!r)
        return;
    set_space(l->routes, r, m->space_id);
    memcpy(r->space, m->space, sizeof(r->space));
    set_tally(r);
    memcpy(r->title, m->title, sizeof(r->title));
    memcpy(r->emoji, m->emoji, sizeof(r->emoji));
    memcpy(r->message, m->message, sizeof(r->message));
    bool fell_asleep = m->stage == STAGE_SLEEPING && r->stage != STAGE_SLEEPING;
    r->stage = m->stage;
    r->wakes = m->wakes != 0;
    bool closed = (m->flags & ROUTE_PRIVATE) && !(r->flags & ROUTE_PRIVATE);
    r->flags = m->flags;
    r->headers[HEADER_COEP] = (uint8_t)m->coep;
    r->headers[HEADER_COOP] = (uint8_t)m->coop;
    r->headers[HEADER_CORP] = (uint8_t)m->corp;
    r->known = true;
    r->resolving = false;
    if (fell_asleep)
        slept(r);
    int none = -1;
    if (m->worker_id)
        set_worker(r, m, msg->n_fds ? &msg->fds[0] : &none);
    else if (r->worker)
        worker_retire(r->worker);
    if (r->worker) {
        if (r->cold && r->tally) {
            r->tally->counts.cold_starts++;
            tally_touch(l, r->tally);
        }
        slept(r);
        free(steal_ptr(r->lines));
        r->lines_len = 0;
    }
    /* Those who are let go ask for their next Space at once, which may need the room of this one.
     */
    r->pins++;
    if (closed)
        wake_end_watches(r); /* those who look have not shown who they are */
    wake_tell_stage(r);
    wake_release(r);
    r->pins--;
    if (!r->worker && r->n_watchers)
        route_want(r);
}

static void keep_line(struct route *r, const char *text)
{
    size_t n = strlen(text) + 1;
    if (!r->lines && !(r->lines = malloc(ROUTE_LINES_BYTES)))
        return;
    while (r->lines_len + n > ROUTE_LINES_BYTES) { /* the oldest lines make room */
        char *nl = memchr(r->lines, '\n', r->lines_len);
        size_t cut = nl ? (size_t)(nl - r->lines) + 1 : r->lines_len;
        memmove(r->lines, r->lines + cut, r->lines_len - cut);
        r->lines_len -= (uint32_t)cut;
    }
    char *out = r->lines + r->lines_len;
    for (size_t i = 0; i + 1 < n; i++) /* one message, one line */
        out[i] = (uint8_t)text[i] < 0x20 ? ' ' : text[i];
    out[n - 1] = '\n';
    r->lines_len += (uint32_t)n;
}

void route_line(struct loop *l, const struct proto_wait_line *m)
{
    struct routes *rs = l->routes;
    struct route *r = rs->by_space[m->space_id & (rs->n_buckets - 1)];

    for (; r; r = r->next_space) {
        if (r->space_id != m->space_id || r->worker)
            continue;
        keep_line(r, m->text);
        wake_tell_line(r, m->text);
    }
}
