#include "worker.h"

#include "proxy.h"
#include "route.h"
#include "runner.h"
#include "upstream.h"
#include "wake.h"
#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define BUCKETS 1024
#define AHEAD 3      /* sockets asked for beyond what is needed now */
#define REDIAL_MS 50 /* after a refused DIAL */
#define COUNTERS_MS 1000
#define NOTE_MS 1000
#define TURN_MESSAGES 4 /* of one dial socket before others have their turn */

static void on_tick(struct timer *t);

int workers_new(struct loop *l, struct err *err)
{
    struct workers *ws = calloc(1, sizeof(*ws));
    if (!ws)
        return err_set(err, ENOMEM, "no memory for the workers");
    l->workers = ws;
    ws->loop = l;
    list_init(&ws->all);
    list_init(&ws->dirty);
    ws->tick.on_fire = on_tick;
    ws->n_buckets = BUCKETS;
    ws->buckets = calloc(BUCKETS, sizeof(*ws->buckets));
    if (!ws->buckets)
        return err_set(err, ENOMEM, "no memory for the workers");
    ws->site = worker_new(l, 0, 0, 0, -1);
    if (!ws->site)
        return err_set(err, ENOMEM, "no memory for the workers");
    ws->site->site = true;
    return 0;
}

void workers_free(struct loop *l)
{
    struct workers *ws = l->workers;
    while (!list_empty(&ws->all)) {
        struct worker *w = container_of(ws->all.next, struct worker, all);
        w->refs = 1;
        worker_retire(w);
        worker_unref(w);
    }
    timer_cancel(l->wheel, &ws->tick);
    while (l->buried) { /* they use the pools that go now */
        struct io *io = l->buried;
        l->buried = io->next_buried;
        io->on_free(l, io);
    }
    upstream_pool_free(ws);
    free(ws->buckets);
    free(ws);
    l->workers = NULL;
}

static struct worker **bucket_of(struct workers *ws, uint64_t id)
{
    return &ws->buckets[id % ws->n_buckets];
}

struct worker *worker_find(struct loop *l, uint64_t id)
{
    struct worker *w = *bucket_of(l->workers, id);
    while (w && w->id != id)
        w = w->next_hash;
    return w;
}

/* ---- counters: told to the runner each second, for those that changed ---- */

static void on_tick(struct timer *t)
{
    struct workers *ws = container_of(t, struct workers, tick);
    while (!list_empty(&ws->dirty)) {
        struct worker *w = container_of(ws->dirty.next, struct worker, dirty);
        if (!runner_counters(ws->loop, w))
            break; /* there is no runner, or no room: at the next tick */
        list_remove(&w->dirty);
    }
    if (!list_empty(&ws->dirty))
        timer_set(ws->loop->wheel, t, ws->loop->now_ms + COUNTERS_MS);
}

void worker_touch(struct worker *w)
{
    struct workers *ws = w->loop->workers;
    if (w->site || list_linked(&w->dirty))
        return;
    list_push_back(&ws->dirty, &w->dirty);
    if (!timer_is_set(&ws->tick))
        timer_set(w->loop->wheel, &ws->tick, w->loop->now_ms + COUNTERS_MS);
}

void worker_note(struct worker *w, const char *text)
{
    uint64_t now = w->loop->now_ms;

    if (w->noted_ms && now - w->noted_ms < NOTE_MS) {
        w->unsaid++;
        return;
    }
    if (w->unsaid)
        runner_note(w->loop, w->space_id, w->id, "%s (and %u more like it)", text, w->unsaid);
    else
        runner_note(w->loop, w->space_id, w->id, "%s", text);
    w->noted_ms = now;
    w->unsaid = 0;
}

/* ---- the dial socket ---- */

static void ask(struct worker *w)
{
    uint32_t have = w->n_fresh + w->asked, want = w->n_pending + AHEAD;
    struct err err = {0};

    if (w->dial.fd < 0 || w->asked || w->retired || have >= want || timer_is_set(&w->redial))
        return;
    if (!w->n_pending && w->n_fresh >= AHEAD - 1)
        return;
    struct proto_dial dial = {.count = want - have};
    if (dial.count > PROTO_MAX_FDS)
        dial.count = PROTO_MAX_FDS;
    int r = proto_send(w->dial.fd, PROTO_DIAL, &dial, NULL, 0, &err);
    if (r == -EAGAIN)
        timer_set(w->loop->wheel, &w->redial, w->loop->now_ms + REDIAL_MS);
    else if (r < 0)
        worker_lost(w, "its dial socket broke");
    else
        w->asked = dial.count;
}

static void on_redial(struct timer *t)
{
    ask(container_of(t, struct worker, redial));
}

/* Gives a socket to the client that has waited longest, or keeps it. */
static void take_socket(struct worker *w, int fd)
{
    if (!upstream_socket_ok(fd, w->site)) {
        log_warn(NULL, "gateway.dial", "worker %llu handed out something that is no TCP socket",
                 (unsigned long long)w->id);
        close(fd);
        return;
    }
    if (list_empty(&w->pending)) {
        if (w->n_fresh < WORKER_FRESH_MAX && !w->retired)
            w->fresh[w->n_fresh++] = fd;
        else
            close(fd);
        return;
    }
    struct client *c = container_of(w->pending.next, struct client, wait);
    client_unwait(c);
    if (upstream_open(c, w, fd))
        proxy_begin(c);
    client_step(c);
}

static void on_dial(struct loop *l, struct io *io, uint32_t events)
{
    struct worker *w = container_of(io, struct worker, dial);
    struct proto_msg *m = &l->msg;
    (void)events;

    /* the rest of a flood comes again, after everybody else */
    for (int i = 0; i < TURN_MESSAGES && w->dial.fd >= 0; i++) {
        struct err err = {0};
        int r = proto_recv(w->dial.fd, m, 0, &err);
        if (r == -EAGAIN)
            return;
        if (r <= 0 || m->type != PROTO_DIALED) {
            if (r > 0)
                proto_msg_done(m);
            worker_lost(w, r == 0 ? "its dial socket was closed" : "its dial socket broke");
            return;
        }
        int fds[PROTO_MAX_FDS], n = m->n_fds;
        memcpy(fds, m->fds, sizeof(fds[0]) * (size_t)n);
        m->n_fds = 0;
        w->asked = 0;
        /* it may retire meanwhile, but is freed only after the batch */
        for (int at = 0; at < n; at++)
            take_socket(w, fds[at]);
        if (n == 0 && !w->retired && !timer_is_set(&w->redial))
            timer_set(l->wheel, &w->redial, l->now_ms + REDIAL_MS);
        ask(w);
    }
}

void worker_drop_fresh(struct worker *w)
{
    while (w->n_fresh)
        close(w->fresh[--w->n_fresh]);
}

static void close_dial(struct worker *w)
{
    loop_close(w->loop, &w->dial);
    worker_drop_fresh(w);
    w->asked = 0;
    timer_cancel(w->loop->wheel, &w->redial);
}

static int open_dial(struct worker *w, int fd)
{
    w->dial.fd = fd;
    int r = loop_add_level(w->loop, &w->dial, EPOLLIN | EPOLLRDHUP);
    if (r < 0) {
        close_fd(&w->dial.fd);
        return r;
    }
    return 0;
}

/* ---- their life ---- */

struct worker *worker_new(struct loop *l, uint64_t id, uint64_t space_id, uint32_t port,
                          int dial_fd)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        close_fd(&dial_fd);
        return NULL;
    }
    w->loop = l;
    w->dial = (struct io){.fd = -1, .shared = true, .on_event = on_dial};
    w->id = id;
    w->space_id = space_id;
    w->port = port;
    w->redial.on_fire = on_redial;
    w->last_end_ms = l->now_ms;
    list_init(&w->pending);
    list_init(&w->idle);
    list_push_back(&l->workers->all, &w->all);
    struct worker **bucket = bucket_of(l->workers, id);
    w->next_hash = *bucket;
    *bucket = w;
    if (dial_fd >= 0 && open_dial(w, dial_fd) == 0)
        ask(w);
    return w;
}

void worker_revive(struct worker *w, uint32_t port, int dial_fd)
{
    w->retired = false;
    w->port = port;
    if (open_dial(w, dial_fd) == 0)
        ask(w);
}

static void free_worker(struct loop *l, struct io *io)
{
    (void)l;
    free(container_of(io, struct worker, dial));
}

static void close_idle(struct worker *w)
{
    while (!list_empty(&w->idle))
        upstream_close(container_of(w->idle.next, struct upstream, idle), false);
}

static void bury_if_unused(struct worker *w)
{
    if (!w->retired || w->refs)
        return;
    struct worker **p = bucket_of(w->loop->workers, w->id);
    while (*p != w)
        p = &(*p)->next_hash;
    *p = w->next_hash;
    list_remove(&w->all);
    if (list_linked(&w->dirty)) {
        runner_counters(w->loop, w);
        list_remove(&w->dirty);
    }
    loop_bury(w->loop, &w->dial, free_worker);
}

void worker_retire(struct worker *w)
{
    struct route *r = w->route;

    if (w->retired)
        return;
    w->retired = true;
    w->route = NULL;
    if (r && r->worker == w)
        r->worker = NULL;
    close_dial(w);
    close_idle(w);
    w->refs++;
    while (!list_empty(&w->pending)) {
        struct client *c = container_of(w->pending.next, struct client, wait);
        client_unwait(c);
        client_release(c, false);
        if (r)
            wake_hold(c, r);
        else
            client_close(c, true);
    }
    worker_unref(w);
}

void worker_let_go(struct worker *w)
{
    struct route *r = w->route;
    worker_retire(w);
    if (r)
        route_forget(r);
}

void worker_lost(struct worker *w, const char *why)
{
    struct route *r = w->route;

    if (w->site) {
        log_warn(NULL, "gateway.site", "%s", why);
        close_dial(w);
        return;
    }
    if (w->retired)
        return;
    log_info(r ? &(struct log_ctx){.space = r->space, .worker_id = w->id} : NULL, "gateway.lost",
             "%s", why);
    worker_retire(w);
    if (r)
        route_forget(r);
}

void worker_unref(struct worker *w)
{
    worker_touch(w); /* refs and bytes have changed */
    if (--w->refs == 0) {
        w->last_end_ms = w->loop->now_ms;
        bury_if_unused(w);
    }
}

void worker_set_site(struct loop *l, int fd)
{
    struct worker *w = l->workers->site;
    close_dial(w);
    if (open_dial(w, fd) == 0)
        ask(w);
}

bool worker_connect(struct client *c, struct worker *w, bool reuse)
{
    if (reuse && upstream_reuse(c, w))
        return true;
    c->state = CLIENT_DIAL;
    client_set_deadline(c, c->loop->conf->gateway_connect_timeout);
    if (w->n_fresh) {
        bool now = upstream_open(c, w, w->fresh[--w->n_fresh]);
        ask(w);
        return now;
    }
    list_push_back(&w->pending, &c->wait);
    w->n_pending++;
    ask(w);
    return false;
}
