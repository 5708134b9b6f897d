#include "drain.h"

#include "crew.h"
#include "h2.h"
#include "loop.h"
#include "common/log.h"
#include "common/util.h"

#include <errno.h>
#include <sys/socket.h>

#define MOMENT_MS 1000 /* of silence; longer than a request is on its way */
#define TELL_MS 1000

bool drain_closes(const struct client *c)
{
    const struct loop *l = c->loop;
    if (!l->stopping || !l->draining)
        return l->stopping;
    /* the next request of a pipeline is here: it is answered, too */
    return !c->up.done || gbuf_len(c->conn.in) <= (c->head_kept ? c->head_len : 0u);
}

uint64_t drain_patience_ms(const struct client *c)
{
    return c->requests ? MOMENT_MS : c->loop->conf->gateway_header_timeout;
}

void drain_silent(struct client *c)
{
    char byte;
    /* the event of what came just now is still to be read */
    if (recv(c->conn.io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
        client_linger(c);
    else
        client_set_deadline(c, drain_patience_ms(c));
}

/* Whoever has only a part must not take it for the whole. */
static bool would_look_whole(const struct client *c)
{
    return c->state == CLIENT_RELAY || (c->state == CLIENT_PROXY && c->head_parsed &&
                                        !c->down.chunk_out && c->down.body != BODY_LENGTH);
}

static void cut(struct loop *l)
{
    if (l->n_clients)
        log_warn(NULL, "gateway.drained",
                 "%u connections are cut off: gateway.drain_timeout is over", l->n_clients);
    while (!list_empty(&l->clients)) { /* one may take others along */
        struct client *c = container_of(l->clients.next, struct client, all);
        client_close(c, would_look_whole(c));
    }
    l->over = true;
}

/* HTTP/2: what was on its way when they were told has come. All are walked: there is
 * nothing else to do here. */
static void stop_carriers(struct loop *l)
{
    struct link *at;
    for (at = l->clients.next; at != &l->clients; at = at->next) {
        struct client *c = container_of(at, struct client, all);
        if (c->state == CLIENT_H2)
            h2_stop(c);
    }
}

static void tell(struct loop *l)
{
    struct proto_sup_load m = {.connections = (uint32_t)crew_total(l, CREW_CLIENTS)};
    if (l->number == 0) /* if there is room: it comes again */
        proto_send(l->sup_fd, PROTO_SUP_LOAD, &m, NULL, 0, NULL);
    uint64_t next_ms = l->now_ms + TELL_MS;
    timer_set(l->wheel, &l->drain_timer, next_ms < l->drain_until_ms ? next_ms : l->drain_until_ms);
}

static void on_tick(struct timer *t)
{
    struct loop *l = container_of(t, struct loop, drain_timer);
    if (l->now_ms >= l->drain_until_ms) {
        cut(l);
        return;
    }
    stop_carriers(l);
    tell(l);
}

void drain_begin(struct loop *l, uint64_t timeout_ms)
{
    struct link *at;

    if (l->stopping)
        return;
    l->stopping = l->draining = true;
    l->drain_until_ms = l->now_ms + timeout_ms;
    for (int i = 0; i < PROTO_LISTENERS; i++)
        loop_close(l, &l->listeners[i].io);
    timer_cancel(l->wheel, &l->accept_timer);
    if (l->number == 0)
        log_info(NULL, "gateway.drains", "a new gateway serves; %u connections are left here",
                 (uint32_t)crew_total(l, CREW_CLIENTS));
    for (at = l->clients.next; at != &l->clients; at = at->next) {
        struct client *c = container_of(at, struct client, all);
        if (c->state == CLIENT_READ && !gbuf_len(c->conn.in) && c->requests)
            client_set_deadline(c, drain_patience_ms(c));
        else if (c->state == CLIENT_H2)
            h2_notice(c);
    }
    l->drain_timer.on_fire = on_tick;
    if (list_empty(&l->clients))
        crew_done(l);
    if (!l->over) /* the first tells of all, as long as there are any */
        tell(l);
}
