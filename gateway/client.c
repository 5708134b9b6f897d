#include "client.h"

#include "account.h"
#include "acme.h"
#include "crew.h"
#include "drain.h"
#include "forwarded.h"
#include "h2.h"
#include "intro.h"
#include "limits.h"
#include "proxy.h"
#include "request.h"
#include "tally.h"
#include "upstream.h"
#include "visit.h"
#include "wake.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LINGER_MS 2000
#define LINGER_READS 64
#define TURN_STEPS 32 /* requests of one pipeline before others have their turn */

static void on_event(struct loop *l, struct io *io, uint32_t events)
{
    struct client *c = container_of(io, struct client, conn.io);
    (void)l;
    conn_note(&c->conn, events);
    client_step(c);
}

static void free_client(struct loop *l, struct io *io)
{
    struct client *c = container_of(io, struct client, conn.io);
    c->next_free = l->free_clients;
    l->free_clients = c;
}

void client_set_deadline(struct client *c, uint64_t ms)
{
    timer_set(c->loop->wheel, &c->timer, ms == CLIENT_NEVER ? UINT64_MAX : c->loop->now_ms + ms);
}

void client_again(struct client *c)
{
    if (!list_linked(&c->ready))
        list_push_back(&c->loop->ready, &c->ready);
}

void client_unwait(struct client *c)
{
    if (!list_linked(&c->wait))
        return;
    list_remove(&c->wait);
    if (c->state == CLIENT_HELD) {
        wake_unhold(c->route);
    } else if (c->state == CLIENT_WATCH) {
        wake_unwatch(c->route);
    } else if (c->state == CLIENT_DIAL) {
        c->worker->n_pending--;
    } else if (c->state == CLIENT_CHALLENGE) {
        c->loop->challenges.n_waiting--;
    }
}

void client_release(struct client *c, bool reuse)
{
    struct upstream *u = c->upstream;
    struct worker *w = c->worker;

    if (u) {
        c->upstream = NULL;
        u->client = NULL;
        if (reuse)
            upstream_keep(u);
        else
            upstream_close(u, !c->down.done);
    }
    if (w) {
        if (w->site)
            limits_leave_site(c->visitor ? c->visitor : c->address);
        c->worker = NULL;
        if (w->site)
            crew_set(c->loop, CREW_SITE, w->refs - 1);
        w->bytes_in += c->up.bytes;
        w->bytes_out += c->down.bytes;
        worker_unref(w);
    }
}

void client_close(struct client *c, bool reset)
{
    struct loop *l = c->loop;

    if (c->conn.io.fd < 0)
        return;
    client_unwait(c);
    if (c->account.from_us)
        account_end(c, c->state != CLIENT_RELAY && c->state != CLIENT_WATCH);
    client_release(c, false);
    if (l->head_of == c)
        l->head_of = NULL;
    if (c->h2)
        h2_end(c);
    timer_cancel(l->wheel, &c->timer);
    list_remove(&c->ready);
    list_remove(&c->all);
    crew_set(l, CREW_CLIENTS, --l->n_clients);
    if (c->conn.layer != CONN_STREAM)
        crew_left(l);
    tally_closed(l);
    if (c->visitor)
        limits_leave(c->visitor);
    limits_leave(c->address);
    conn_close(l, &c->conn, reset);
    loop_bury(l, &c->conn.io, free_client);
    if (l->draining && list_empty(&l->clients))
        crew_done(l);
}

void client_linger(struct client *c)
{
    if (c->conn.layer == CONN_STREAM || conn_half_close(&c->conn) < 0) {
        client_close(c, false);
        return;
    }
    gbuf_give(&c->loop->bufs, &c->conn.in);
    c->state = CLIENT_LINGER;
    client_set_deadline(c, LINGER_MS);
}

static void linger_step(struct client *c)
{
    for (int i = 0; i < LINGER_READS && c->conn.readable; i++) {
        ssize_t n = recv(c->conn.io.fd, c->loop->scratch, sizeof(c->loop->scratch), MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            c->conn.readable = false;
        else if (n <= 0) {
            client_close(c, false);
            return;
        }
    }
    if (c->conn.readable)
        client_again(c);
}

void client_finish(struct client *c)
{
    bool whole = c->up.done;

    account_end(c, false);
    if (c->loop->head_of == c)
        c->loop->head_of = NULL;
    if (c->head_kept)
        gbuf_consume(c->conn.in, c->head_len);
    conn_trim(c->loop, &c->conn);
    if (!c->keep_alive || (c->loop->stopping && !c->loop->draining)) {
        if (whole && !c->conn.in && (!c->conn.readable || c->conn.fin))
            client_close(c, false);
        else
            client_linger(c);
        return;
    }
    size_t from = offsetof(struct client, minor), to = offsetof(struct client, requests);
    memset((char *)c + from, 0, to - from);
    c->up = c->down = (struct flow){0};
    if (c->trusted)
        forwarded_drop(c);
    c->requests++;
    c->head_since_ms = c->held_since_ms = 0;
    c->route = NULL;
    c->state = CLIENT_READ;
}

/* An answer of our own, or the events of a waiting page. */
static void write_step(struct client *c)
{
    if (conn_write(c->loop, &c->conn, NULL, 0) < 0 || c->conn.broken) {
        client_close(c, false);
        return;
    }
    if (c->state == CLIENT_REPLY) {
        if (!c->conn.out)
            client_finish(c);
        else
            client_set_deadline(c, c->loop->conf->gateway_body_idle_timeout);
    } else if (c->conn.fin) { /* nobody looks at the page any more */
        client_close(c, false);
    }
}

static void waiting_step(struct client *c)
{
    if (c->conn.broken)
        client_close(c, false);
    else if (c->conn.fin)
        client_set_deadline(c, CLIENT_HALF_CLOSED_MS);
}

void client_step(struct client *c)
{
    for (int turns = 0; c->conn.io.fd >= 0; turns++) {
        uint8_t state = c->state;
        uint32_t requests = c->requests;
        if (turns == TURN_STEPS) {
            client_again(c);
            return;
        }
        switch ((enum client_state)state) {
        case CLIENT_INTRO:
            intro_step(c);
            break;
        case CLIENT_READ:
            request_read(c);
            break;
        case CLIENT_ASK:
        case CLIENT_CHALLENGE:
        case CLIENT_HELD:
        case CLIENT_DIAL:
            waiting_step(c);
            break;
        case CLIENT_PROXY:
            proxy_step(c);
            break;
        case CLIENT_RELAY:
            relay_step(c);
            break;
        case CLIENT_REPLY:
        case CLIENT_WATCH:
            write_step(c);
            break;
        case CLIENT_LINGER:
            linger_step(c);
            break;
        case CLIENT_H2:
            h2_step(c);
            return;
        }
        if (c->state == state && c->requests == requests)
            return;
    }
}

static void on_timer(struct timer *t)
{
    struct client *c = container_of(t, struct client, timer);

    switch ((enum client_state)c->state) {
    case CLIENT_INTRO:
        client_close(c, false);
        return;
    case CLIENT_READ:
        if (gbuf_len(c->conn.in) == 0 && c->loop->draining && c->conn.layer != CONN_STREAM) {
            drain_silent(c);
            return;
        }
        if (gbuf_len(c->conn.in) == 0) {
            client_close(c, false);
            return;
        }
        request_refuse(c, 408, "the request's header did not arrive in time");
        break;
    case CLIENT_CHALLENGE:
        acme_give_up(c);
        break;
    case CLIENT_ASK:
    case CLIENT_HELD:
        if (c->conn.fin) {
            client_close(c, false);
            return;
        }
        if (c->state == CLIENT_ASK)
            visit_give_up(c);
        else
            wake_give_up(c);
        break;
    case CLIENT_DIAL:
    case CLIENT_PROXY:
    case CLIENT_RELAY:
        proxy_timeout(c);
        break;
    case CLIENT_REPLY:
    case CLIENT_LINGER:
        client_close(c, c->state == CLIENT_REPLY);
        return;
    case CLIENT_WATCH:
        wake_ping(c);
        break;
    case CLIENT_H2:
        h2_timeout(c);
        return;
    }
    client_step(c);
}

struct client *client_new(struct loop *l, int fd, struct limits_address *address)
{
    struct client *c = l->free_clients;
    if (c)
        l->free_clients = c->next_free;
    else
        c = malloc(sizeof(*c));
    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c));
    c->loop = l;
    c->conn.io = (struct io){.fd = fd, .on_event = on_event};
    c->conn.writable = true;
    c->timer.on_fire = on_timer;
    c->address = address;
    list_push_back(&l->clients, &c->all);
    crew_set(l, CREW_CLIENTS, ++l->n_clients);
    client_set_deadline(c, l->conf->gateway_header_timeout);
    return c;
}

struct client *client_of_stream(struct client *carrier, struct h2_stream *s)
{
    struct loop *l = carrier->loop;
    uint64_t max = carrier->behind_proxy ? UINT64_MAX : l->conf->gateway_max_per_address;

    if ((l->stopping && !l->draining) ||
        crew_total(l, CREW_CLIENTS) >= l->conf->gateway_max_connections ||
        !limits_again(carrier->address, max))
        return NULL;
    struct client *c = client_new(l, CONN_NO_FD, carrier->address);
    if (!c) {
        limits_leave(carrier->address);
        return NULL;
    }
    c->conn.layer = CONN_STREAM;
    c->conn.h2 = s;
    c->conn.secure = carrier->conn.secure;
    c->state = CLIENT_READ;
    c->behind_proxy = carrier->behind_proxy;
    c->trusted = carrier->trusted;
    memcpy(c->peer_ip, carrier->peer_ip, sizeof(c->peer_ip));
    memcpy(c->ip, carrier->peer_ip, sizeof(c->ip));
    c->ip6 = c->peer_ip6 = carrier->peer_ip6;
    return c;
}
