/* vitrine-gateway: terminates visitors' HTTP, finds the Space by its host name, forwards bytes, and
 * wakes what sleeps.
 *
 * `vitrine up` starts it with two descriptors (common/service.h) and hands over, by message, the
 * visitors' listening socket, a socket to the runner and one that yields connections to the site.
 * From then on it opens nothing: every connection to a demo is made on a socket that the demo's own
 * sandbox handed out (worker.h).
 *
 * A loop (loop.h) does everything, and all state hangs off it; there is one for each CPU, in a
 * thread of its own (crew.h), and `up` speaks to the first of them (orders.c). The life of a
 * request:
 *
 *   accept.c    takes a connection, or hands it to another loop
 *   client.c    its life from one state to the next, its time limits and its end
 *   request.c   reads a head, has it parsed strictly (http1.c), looks at its host
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
#include "client.h"
#include "crew.h"
#include "loop.h"
#include "orders.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/service.h"
#include "common/util.h"
#include "sandbox/service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#define TURN_MESSAGES 16 /* of `up` before others have their turn */

struct gateway {
    struct service service;
    struct crew *crew;
    struct io sup, signals; /* of the first loop */
};

/* Accepts no more; answers in flight get a moment. */
static void on_signal(struct loop *l, struct io *io, uint32_t events)
{
    const struct gateway *g = container_of(io, struct gateway, signals);
    struct signalfd_siginfo info;
    (void)events;

    while (read(io->fd, &info, sizeof(info)) == sizeof(info)) {
        crew_stop(g->crew);
        orders_stop(l);
    }
}

static void on_supervisor(struct loop *l, struct io *io, uint32_t events)
{
    const struct gateway *g = container_of(io, struct gateway, sup);
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
        crew_pass(g->crew, m);
        orders_take(l, m);
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
    int r = loop_add_level(g->crew->members[0].loop, &g->signals, EPOLLIN);
    return r < 0 ? err_set(err, -r, "cannot watch for signals: %s", strerror(-r)) : 0;
}

/* From here on there are descriptors, and nothing else (SECURITY.md says what that leaves). */
static int confine(struct crew *crew, const struct conf *conf, struct err *err)
{
    struct service_plan plan = {.kind = SERVICE_GATEWAY,
                                .uid_first = (uint32_t)conf->sandbox_uid_first,
                                .threads = crew_start,
                                .threads_arg = crew};
    int r = service_confine(&plan, err);
    if (r == 0)
        return 0;
    if (conf->sandbox_require_services)
        return err_prefix(err, -r,
                          "cannot confine itself; `vitrine check` says what is missing, and "
                          "[sandbox] require_services = false serves without");
    log_warn(NULL, "gateway.unconfined", "not in a sandbox of its own: %s", err->msg);
    return crew_start(crew, err); /* those that do not run yet */
}

static int run(struct gateway *g, struct err *err)
{
    int r = service_init(&g->service, "vitrine-gateway", err);
    if (r < 0)
        return r;
    raise_open_files();
    r = crew_new(&g->crew, &g->service.conf, err);
    if (r < 0)
        return r;
    struct loop *first = g->crew->members[0].loop;
    r = watch_signals(g, err);
    if (r < 0)
        return r;
    first->sup_fd = first->challenges.sup_fd = g->service.sup_fd;
    g->sup = (struct io){.fd = g->service.sup_fd, .on_event = on_supervisor};
    r = loop_add_level(first, &g->sup, EPOLLIN);
    if (r < 0)
        return err_set(err, -r, "cannot watch the supervisor's socket: %s", strerror(-r));
    r = confine(g->crew, &g->service.conf, err);
    if (r == 0) /* what it is to serve may come later, when an earlier gateway is to be replaced */
        r = service_ready(&g->service, err);
    if (r < 0)
        return r;
    if (g->crew->n > 1)
        log_info(NULL, "gateway.threads", "%u loops, each in a thread", g->crew->n);
    r = loop_run(first, err);
    loop_close(first, &g->signals);
    crew_free(g->crew);
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
