#include "runner.h"

#include "tally.h"
#include "visit.h"
#include "worker.h"
#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define TURN_MESSAGES 64 /* of the runner before others have their turn */

static void on_event(struct loop *l, struct io *io, uint32_t events);

int runner_new(struct loop *l, struct err *err)
{
    struct runner *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(err, ENOMEM, "no memory for the runner's socket");
    l->runner = r;
    r->loop = l;
    r->io = (struct io){.fd = -1, .shared = true, .on_event = on_event};
    list_init(&r->tx);
    return 0;
}

void runner_free(struct loop *l)
{
    loop_close(l, &l->runner->io);
    free(steal_ptr(l->runner));
}

static void gone(struct runner *r, const char *why)
{
    log_warn(NULL, "gateway.runner", "the runner is away: %s", why);
    loop_close(r->loop, &r->io);
    r->blocked = false;
}

void runner_set(struct loop *l, int fd)
{
    struct runner *r = l->runner;

    loop_close(l, &r->io);
    r->blocked = false;
    r->n_answers = 0; /* the new one asks for itself */
    r->io.fd = fd;
    if (loop_add_level(l, &r->io, EPOLLIN) < 0) {
        gone(r, "its socket cannot be watched");
        return;
    }
    routes_ask_again(l);
    tallies_tell_again(l);
}

/* No decision is made whose answer would find no place: then nothing is read. */
static bool is_full(const struct runner *r)
{
    return r->n_answers == sizeof(r->answers) / sizeof(r->answers[0]);
}

static void listen_to(struct runner *r)
{
    loop_mod_level(r->loop, &r->io, (is_full(r) ? 0 : EPOLLIN) | (r->blocked ? EPOLLOUT : 0));
}

/* True if it went out. Else it is away, or to be tried again when there is room. */
static bool try_send(struct runner *r, enum proto_type type, const void *body)
{
    if (r->io.fd < 0 || r->blocked)
        return false;
    int e = proto_send(r->io.fd, type, body, NULL, 0, NULL);
    if (e == 0)
        return true;
    if (e == -EAGAIN) {
        r->blocked = true;
        listen_to(r);
    } else {
        gone(r, strerror(-e));
    }
    return false;
}

static bool send_wanted(struct runner *runner, struct route *r)
{
    if (r->tx_want & ROUTE_TX_RESOLVE) {
        struct proto_resolve m = {0};
        memcpy(m.label, r->label, sizeof(m.label));
        if (!try_send(runner, PROTO_RESOLVE, &m))
            return false;
        r->tx_want &= (uint8_t)~ROUTE_TX_RESOLVE;
    }
    if (r->tx_want & ROUTE_TX_WAKE) {
        struct proto_wake m = {.space_id = r->space_id};
        if (!try_send(runner, PROTO_WAKE, &m))
            return false;
        r->tx_want = 0;
    }
    return true;
}

void runner_flush(struct loop *l)
{
    struct runner *r = l->runner;
    uint32_t sent = 0;

    while (sent < r->n_answers && try_send(r, PROTO_SLEEP_ANSWER, &r->answers[sent]))
        sent++;
    r->n_answers -= sent;
    memmove(r->answers, r->answers + sent, r->n_answers * sizeof(r->answers[0]));
    while (!list_empty(&r->tx)) {
        struct route *route = container_of(r->tx.next, struct route, tx);
        if (!send_wanted(r, route))
            return;
        list_remove(&route->tx);
    }
}

void runner_note(struct loop *l, uint64_t space_id, uint64_t worker_id, const char *fmt, ...)
{
    struct proto_gateway_note m = {.space_id = space_id, .worker_id = worker_id};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(m.text, sizeof(m.text), fmt, ap);
    va_end(ap);
    log_info(&(struct log_ctx){.worker_id = worker_id}, "gateway.note", "%s", m.text);
    try_send(l->runner, PROTO_GATEWAY_NOTE, &m);
}

bool runner_ask(struct loop *l, const struct proto_token_ask *m)
{
    return try_send(l->runner, PROTO_TOKEN_ASK, m);
}

bool runner_stat(struct loop *l, const struct proto_gateway_stat *m)
{
    return try_send(l->runner, PROTO_GATEWAY_STAT, m);
}

bool runner_tally(struct loop *l, const struct tally *t)
{
    struct proto_tally m = {
        .space_id = t->space_id,
        .in_flight = t->in_flight,
        .websockets = t->websockets,
        .streams = t->streams,
        .counts_len = TALLY_BYTES,
    };
    memcpy(m.space, t->space, sizeof(m.space));
    tally_pack(&t->counts, m.counts);
    return try_send(l->runner, PROTO_TALLY, &m);
}

bool runner_counters(struct loop *l, const struct worker *w)
{
    struct proto_counters m = {
        .space_id = w->space_id,
        .worker_id = w->id,
        .requests = w->requests,
        .bytes_in = w->bytes_in,
        .bytes_out = w->bytes_out,
        .refs = w->refs,
        .status_5xx = w->status_5xx,
    };
    return try_send(l->runner, PROTO_COUNTERS, &m);
}

/* May the worker be put to sleep? Those who are held for its Space are users too. */
static void answer_sleep(struct runner *r, const struct proto_sleep_ask *ask)
{
    struct worker *w = worker_find(r->loop, ask->worker_id);
    struct proto_sleep_answer a = {.space_id = ask->space_id, .worker_id = ask->worker_id};

    if (!w || w->site) {
        a.released = 1;
    } else {
        struct route *route = w->route;
        a.refs = w->refs + (route ? route->n_held : 0);
        a.idle_ms = w->refs ? 0 : r->loop->now_ms - w->last_end_ms;
        a.released = a.refs == 0 && a.idle_ms >= ask->min_idle_ms;
        if (a.released)
            worker_let_go(w);
    }
    if (r->n_answers == 0 && try_send(r, PROTO_SLEEP_ANSWER, &a))
        return;
    r->answers[r->n_answers++] = a;
}

static void on_event(struct loop *l, struct io *io, uint32_t events)
{
    struct runner *r = container_of(io, struct runner, io);

    if (r->blocked && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        r->blocked = false;
        runner_flush(l);
        if (r->io.fd >= 0)
            listen_to(r);
    }
    for (int i = 0; i < TURN_MESSAGES && r->io.fd >= 0; i++) {
        if (is_full(r)) {
            listen_to(r);
            return;
        }
        struct err err = {0};
        struct proto_msg *m = &l->msg;
        int n = proto_recv(r->io.fd, m, 0, &err);
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            gone(r, n == 0 ? "it closed its socket" : err.msg);
            return;
        }
        if (m->type == PROTO_ROUTE) {
            route_update(l, m);
        } else if (m->type == PROTO_SLEEP_ASK) {
            struct proto_sleep_ask ask = m->u.sleep_ask;
            answer_sleep(r, &ask);
        } else if (m->type == PROTO_WAIT_LINE) {
            struct proto_wait_line line = m->u.wait_line;
            route_line(l, &line);
        } else if (m->type == PROTO_TOKEN_ANSWER) {
            struct proto_token_answer answer = m->u.token_answer;
            visit_answer(l, &answer);
        }
        proto_msg_done(m);
    }
}
