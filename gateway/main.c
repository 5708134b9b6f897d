/* vitrine-gateway: terminates visitors' HTTP, finds the Space by its host name, forwards bytes, and
 * wakes what sleeps.
 *
 * `vitrine up` starts it with two descriptors (common/service.h) and hands over, by message, the
 * visitors' listening socket, a socket to the runner and one that yields connections to the site.
 * From then on it opens nothing: every connection to a demo is made on a socket that the demo's own
 * sandbox handed out (worker.h).
 *
 * One loop (loop.h) does everything, and all state hangs off it. The life of a request:
 *
 *   client.c    accepts, reads a head, has it parsed strictly (http1.c), looks at its host
 *   tls.c       ... and decrypts what comes to the HTTPS listener, where conn.c reads and writes
 *   acme.c      a certificate authority's challenge: `up` has the answer
 *   route.c     host label -> what the runner said about it; unknown: RESOLVE, and wait
 *   wake.c      no worker: WAKE, hold the request, or show the waiting page (reply.c)
 *   worker.c    a worker: an idle connection to it (upstream.c), or a new one from its dial socket
 *   proxy.c     writes the request anew (rewrite.c), moves bodies both ways (flow.c, chunk.c), and
 *               gives the connection back; an upgraded one becomes a relay of bytes
 *
 * Nothing is buffered beyond one buffer a direction (gbuf.h): what the other side does not take is
 * not read. Whoever leaves takes its demo's connection along.
 *
 * The runner (runner.c) tells when routes change, and asks whether a worker may sleep; only here it
 * is known whether somebody uses it. While the runner is away, what runs goes on being served.
 *
 * A gateway is replaced without a lost request (drain.c): `up` starts another, gives it the
 * listening socket once it is ready, and this one accepts no more, finishes what it has and ends.
 *
 * It ends when `up` goes (end of file on the supervisor's socket), and at once, exit status 0, on
 * SIGTERM: visitors' connections are not waited for beyond a moment. */
#include "access.h"
#include "client.h"
#include "drain.h"
#include "h2.h"
#include "loop.h"
#include "runner.h"
#include "tlsserver.h"
#include "worker.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/service.h"
#include "common/util.h"
#include "sandbox/service.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#define STOP_GRACE_MS 300
#define VANISHED_MS 60000
#define TURN_MESSAGES 16 /* of `up` before others have their turn */

struct gateway {
    struct service service;
    struct loop *loop;
    struct io sup, signals;
    struct timer grace;
};

static void on_grace(struct timer *t)
{
    container_of(t, struct gateway, grace)->loop->over = true;
}

/* Accepts no more; answers in flight get a moment. */
static void on_signal(struct loop *l, struct io *io, uint32_t events)
{
    struct gateway *g = container_of(io, struct gateway, signals);
    struct signalfd_siginfo info;
    (void)events;

    while (read(io->fd, &info, sizeof(info)) == sizeof(info)) {
        l->stopping = true;
        for (int i = 0; i < PROTO_LISTENERS; i++)
            loop_close(l, &l->listeners[i].io);
        struct link *at, *next;
        for (at = l->clients.next; at != &l->clients; at = next) {
            struct client *c = container_of(at, struct client, all);
            next = at->next;
            if (c->state == CLIENT_INTRO || (c->state == CLIENT_READ && !c->conn.in))
                client_close(c, false);
            else if (c->state == CLIENT_H2)
                h2_stop(c);
        }
        if (list_empty(&l->clients))
            l->over = true;
        g->grace.on_fire = on_grace;
        timer_set(l->wheel, &g->grace, l->now_ms + STOP_GRACE_MS);
    }
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
        .io = {.fd = fd, .shared = true, .on_event = client_on_listener},
        .proxied = m->flags & LISTENER_PROXIED,
        .tls = m->flags & LISTENER_TLS,
    };
    int r = fd_set_nonblock(fd, true);
    if (r == 0)
        r = loop_add_level(l, &listener->io, EPOLLIN);
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
    else
        log_info(NULL, "gateway.tls", "%u certificates are in use", l->tls->n_certificates);
}

static void on_supervisor(struct loop *l, struct io *io, uint32_t events)
{
    struct proto_msg *m = &l->msg;
    (void)events;

    for (int i = 0; i < TURN_MESSAGES; i++) {
        struct err err = {0};
        int r = proto_recv(io->fd, m, 0, &err);
        if (r == -EAGAIN)
            break;
        if (r < 0) /* an `up` of another version, perhaps */
            log_error(NULL, "gateway.supervisor", "%s", err.msg);
        if (r <= 0) { /* `up` is gone, and what it held together with it */
            l->over = true;
            return;
        }
        if (m->type == PROTO_SUP_LISTENER && m->n_fds == 1 &&
            m->u.sup_listener.role == ROLE_PUBLIC && m->u.sup_listener.number < PROTO_LISTENERS)
            take_listener(l, &m->u.sup_listener, steal_fd(&m->fds[0]));
        else if (m->type == PROTO_SUP_TLS && m->n_fds == 1 && l->tls)
            take_certificates(l, m->fds[0]);
        else if (m->type == PROTO_SUP_CHALLENGE)
            acme_answer(l, &m->u.sup_challenge);
        else if (m->type == PROTO_SUP_PEER && m->n_fds == 1 && m->u.sup_peer.role == ROLE_RUNNER)
            runner_set(l, steal_fd(&m->fds[0]));
        else if (m->type == PROTO_SUP_PEER && m->n_fds == 1 && m->u.sup_peer.role == ROLE_SITE_DIAL)
            worker_set_site(l, steal_fd(&m->fds[0]));
        else if (m->type == PROTO_SUP_LOG && m->n_fds == 1)
            access_set_file(l, steal_fd(&m->fds[0]));
        else if (m->type == PROTO_SUP_DRAIN)
            drain_begin(l, m->u.sup_drain.timeout_ms);
        proto_msg_done(m);
    }
}

/* A descriptor for each visitor and one for its demo. */
static void raise_open_files(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max;
        setrlimit(RLIMIT_NOFILE, &lim);
    }
}

static int watch_signals(struct gateway *g, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    g->signals =
        (struct io){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .on_event = on_signal};
    if (g->signals.fd < 0)
        return err_errno(err, "cannot watch for signals");
    int r = loop_add_level(g->loop, &g->signals, EPOLLIN);
    return r < 0 ? err_set(err, -r, "cannot watch for signals: %s", strerror(-r)) : 0;
}

/* From here on there are descriptors, and nothing else (SECURITY.md says what that leaves). */
static int confine(const struct conf *conf, struct err *err)
{
    struct service_plan plan = {.kind = SERVICE_GATEWAY,
                                .uid_first = (uint32_t)conf->sandbox_uid_first};
    int r = service_confine(&plan, err);
    if (r == 0)
        return 0;
    if (conf->sandbox_require_services)
        return err_prefix(err, -r,
                          "cannot confine itself; `vitrine check` says what is missing, and "
                          "[sandbox] require_services = false serves without");
    log_warn(NULL, "gateway.unconfined", "not in a sandbox of its own: %s", err->msg);
    return 0;
}

static int run(struct gateway *g, struct err *err)
{
    int r = service_init(&g->service, "vitrine-gateway", err);
    if (r < 0)
        return r;
    raise_open_files();
    r = loop_new(&g->loop, &g->service.conf, err);
    if (r < 0)
        return r;
    r = watch_signals(g, err);
    if (r < 0)
        return r;
    g->loop->challenges.sup_fd = g->service.sup_fd;
    g->sup = (struct io){.fd = g->service.sup_fd, .on_event = on_supervisor};
    r = loop_add_level(g->loop, &g->sup, EPOLLIN);
    if (r < 0)
        return err_set(err, -r, "cannot watch the supervisor's socket: %s", strerror(-r));
    g->loop->sup_fd = g->service.sup_fd;
    r = confine(&g->service.conf, err);
    if (r == 0) /* what it is to serve may come later, when an earlier gateway is to be replaced */
        r = service_ready(&g->service, err);
    if (r < 0)
        return r;
    r = loop_run(g->loop, err);
    timer_cancel(g->loop->wheel, &g->grace);
    loop_close(g->loop, &g->signals);
    loop_free(g->loop);
    conf_free(&g->service.conf);
    return r;
}

int main(void)
{
    struct gateway g = {0};
    struct err err = {0};

    if (run(&g, &err) < 0) {
        fprintf(stderr, "vitrine-gateway: %s\n", err.msg);
        return 1;
    }
    return 0;
}
