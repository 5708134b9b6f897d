#include "orders.h"

#include "accept.h"
#include "access.h"
#include "acme.h"
#include "client.h"
#include "crew.h"
#include "drain.h"
#include "h2.h"
#include "runner.h"
#include "tlsserver.h"
#include "worker.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define STOP_GRACE_MS 300
#define VANISHED_MS 60000

static void on_grace(struct timer *t)
{
    container_of(t, struct loop, drain_timer)->over = true;
}

void orders_stop(struct loop *l)
{
    struct link *at, *next;

    l->stopping = true;
    for (int i = 0; i < PROTO_LISTENERS; i++)
        loop_close(l, &l->listeners[i].io);
    for (at = l->clients.next; at != &l->clients; at = next) {
        struct client *c = container_of(at, struct client, all);
        next = at->next;
        if (c->state == CLIENT_INTRO || (c->state == CLIENT_READ && !c->conn.in))
            client_close(c, false);
        else if (c->state == CLIENT_H2)
            h2_stop(c);
    }
    if (list_empty(&l->clients))
        crew_done(l);
    timer_cancel(l->wheel, &l->drain_timer);
    l->drain_timer.on_fire = on_grace;
    timer_set(l->wheel, &l->drain_timer, l->now_ms + STOP_GRACE_MS);
}

/* What accepted connections inherit. Whoever vanishes without a word (a laptop that is closed) is
 * noticed within a minute or so: it would keep its worker awake for ever. */
static void set_listener_options(const struct loop *l, int fd)
{
    uint64_t unanswered = l->conf->gateway_body_idle_timeout;
    int domain = AF_UNIX;
    socklen_t len = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain == AF_UNIX)
        return;
    if (unanswered < VANISHED_MS)
        unanswered = VANISHED_MS;
    const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 30},
        {IPPROTO_TCP, TCP_KEEPINTVL, 10},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, (int)unanswered},
        {IPPROTO_TCP, TCP_NODELAY, 1},
    };
    for (unsigned i = 0; i < sizeof(options) / sizeof(*options); i++)
        if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0)
            log_warn(NULL, "gateway.listen", "an option of a listening socket: %s",
                     strerror(errno));
}

static void take_listener(struct loop *l, const struct proto_sup_listener *m, int fd)
{
    if (l->stopping) {
        close(fd);
        return;
    }
    if (m->flags & LISTENER_TLS && !l->tls) { /* never plain HTTP in its place */
        close(fd);
        return;
    }
    struct listener *listener = &l->listeners[m->number];
    loop_close(l, &listener->io);
    set_listener_options(l, fd);
    *listener = (struct listener){
        .io = {.fd = fd, .shared = true, .on_event = accept_on_listener},
        .proxied = m->flags & LISTENER_PROXIED,
        .tls = m->flags & LISTENER_TLS,
    };
    int r = fd_set_nonblock(fd, true);
    if (r == 0)
        r = loop_watch(l, listener);
    if (r < 0) {
        log_error(NULL, "gateway.listen", "cannot watch a listening socket: %s", strerror(-r));
        loop_close(l, &listener->io);
    }
}

/* Connections that there are keep what they began with. */
static void take_certificates(struct loop *l, int fd)
{
    struct err err = {0};
    if (tlsserver_take(l->tls, fd, &err) < 0)
        log_error(NULL, "gateway.tls", "%s", err.msg);
    else if (l->number == 0)
        log_info(NULL, "gateway.tls", "%u certificates are in use", l->tls->n_certificates);
}

void orders_take(struct loop *l, struct proto_msg *m)
{
    int n = m->n_fds;

    if (m->type == PROTO_SUP_LISTENER && n == 1 && m->u.sup_listener.role == ROLE_PUBLIC &&
        m->u.sup_listener.number < PROTO_LISTENERS)
        take_listener(l, &m->u.sup_listener, steal_fd(&m->fds[0]));
    else if (m->type == PROTO_SUP_TLS && n == 1 && l->tls)
        take_certificates(l, m->fds[0]);
    else if (m->type == PROTO_SUP_CHALLENGE)
        acme_answer(l, &m->u.sup_challenge);
    else if (m->type == PROTO_SUP_PEER && n >= 1 && m->u.sup_peer.role == ROLE_RUNNER)
        runner_set(l, steal_fd(&m->fds[0]));
    else if (m->type == PROTO_SUP_PEER && n >= 1 && m->u.sup_peer.role == ROLE_SITE_DIAL)
        worker_set_site(l, steal_fd(&m->fds[0]));
    else if (m->type == PROTO_SUP_LOG && n == 1)
        access_set_file(l, steal_fd(&m->fds[0]));
    else if (m->type == PROTO_SUP_DRAIN)
        drain_begin(l, m->u.sup_drain.timeout_ms);
    else if (m->type == PROTO_SUP_STOP)
        orders_stop(l);
}
