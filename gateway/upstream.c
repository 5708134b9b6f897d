#include "upstream.h"

#include "proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"

#define IDLE_MS 60000
/* A request that cannot be sent twice only goes on a connection that was in use just now: servers
 * close idle ones after seconds. */
#define SURE_MS 1000

static void on_event(struct loop *l, struct io *io, uint32_t events)
{
    struct upstream *u = container_of(io, struct upstream, conn.io);
    struct client *c = u->client;
    (void)l;

    if (u->state == UPSTREAM_IDLE) {
        /* nothing may come on an idle connection but its end */
        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            upstream_close(u, false);
        return;
    }
    if (u->state == UPSTREAM_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof(error);
        if (events & (EPOLLERR | EPOLLHUP))
            getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error || (events & EPOLLHUP)) {
            proxy_connect_failed(c, error ? error : ECONNRESET);
            client_step(c);
            return;
        }
        if (!(events & EPOLLOUT))
            return;
        u->state = UPSTREAM_ACTIVE;
        conn_note(&u->conn, events);
        proxy_begin(c);
        client_step(c);
        return;
    }
    conn_note(&u->conn, events);
    client_step(c);
}

static void on_timer(struct timer *t)
{
    struct upstream *u = container_of(t, struct upstream, timer);
    if (u->state == UPSTREAM_IDLE)
        upstream_close(u, false);
}

bool upstream_socket_ok(int fd, bool site)
{
    int domain = -1, type = -1;
    socklen_t len = sizeof(int);

    if (!site)
        return fd_is_tcp(fd);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

/* Begins to connect without ever waiting: MSG_DONTWAIT holds for this call whatever the socket's
 * flags say, which those who hold a duplicate can change. 0 or -errno; -EINPROGRESS is usual. */
static int connect_without_waiting(int fd, uint32_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct msghdr m = {.msg_name = &to, .msg_namelen = sizeof(to)};
    if (sendmsg(fd, &m, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 0;
    if (errno != EOPNOTSUPP)
        return -errno;
    /* TCP fast open is off in there */
    int r = fd_set_nonblock(fd, true);
    if (r < 0)
        return r;
    return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

static void free_upstream(struct loop *l, struct io *io)
{
    struct upstream *u = container_of(io, struct upstream, conn.io);
    u->next_free = l->workers->free_upstreams;
    l->workers->free_upstreams = u;
}

void upstream_pool_free(struct workers *ws)
{
    while (ws->free_upstreams) {
        struct upstream *u = ws->free_upstreams;
        ws->free_upstreams = u->next_free;
        free(u);
    }
}

static void attach(struct upstream *u, struct client *c, uint8_t state)
{
    u->client = c;
    u->state = state;
    u->got_bytes = false;
    c->upstream = u;
    u->conn.io.idle = false;
}

bool upstream_open(struct client *c, struct worker *w, int fd)
{
    struct loop *l = c->loop;
    struct upstream *u = l->workers->free_upstreams;
    int r = 0;

    if (u)
        l->workers->free_upstreams = u->next_free;
    else
        u = malloc(sizeof(*u));
    if (!u) {
        close(fd);
        proxy_connect_failed(c, ENOMEM);
        return false;
    }
    memset(u, 0, sizeof(*u));
    u->loop = l;
    u->worker = w;
    u->timer.on_fire = on_timer;
    u->conn.io = (struct io){.fd = fd, .shared = true, .on_event = on_event};
    u->conn.hostile = !w->site;
    u->conn.answers = true;
    attach(u, c, w->site ? UPSTREAM_ACTIVE : UPSTREAM_CONNECTING);
    if (!w->site) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        /* There is no network in between: what the system has for that (BBR's pacing) only costs.
         * Each kernel has this one; where it may not be chosen, it stays as it is. */
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
        r = connect_without_waiting(fd, w->port);
    }
    if ((r == 0 || r == -EINPROGRESS) && (r = loop_add(l, &u->conn.io)) == 0) {
        u->conn.writable = w->site;
        c->state = CLIENT_DIAL;
        return w->site;
    }
    proxy_connect_failed(c, -r);
    return false;
}

/* Nothing came on the idle connection: neither its end nor bytes that nobody asked for, which the
 * next visitor would take for an answer. Events tell, but not of what came just now, nor of what an
 * earlier read left behind. */
static bool is_silent(const struct upstream *u)
{
    char byte;
    return recv(u->conn.io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* The last read took all that there was, and of what came until now the events told; what comes
 * from now on could as well come after a look. A request that can be sent once more can do without
 * one: it is a system call. The second time there is a look. */
static bool is_sure(const struct client *c, const struct upstream *u)
{
    return c->loop->all_told && c->retryable && !c->retried && !u->conn.readable;
}

bool upstream_reuse(struct client *c, struct worker *w)
{
    struct upstream *u;

    for (;;) {
        if (list_empty(&w->idle))
            return false;
        u = container_of(w->idle.next, struct upstream, idle);
        if (!c->retryable && w->loop->now_ms - u->idle_since_ms > SURE_MS)
            return false;
        if (is_sure(c, u) || is_silent(u))
            break;
        upstream_close(u, false);
    }
    list_remove(&u->idle);
    w->n_idle--;
    u->reused = true;
    attach(u, c, UPSTREAM_ACTIVE);
    return true;
}

void upstream_keep(struct upstream *u)
{
    struct worker *w = u->worker;
    struct loop *l = u->loop;

    if (w->retired || l->stopping || l->idle_max == 0) {
        upstream_close(u, false);
        return;
    }
    u->state = UPSTREAM_IDLE;
    u->conn.io.idle = true;
    u->idle_since_ms = l->now_ms;
    list_push_front(&w->idle, &u->idle);
    timer_set(l->wheel, &u->timer, l->now_ms + IDLE_MS);
    if (++w->n_idle > l->idle_max)
        upstream_close(container_of(w->idle.prev, struct upstream, idle), false);
}

void upstream_close(struct upstream *u, bool reset)
{
    struct loop *l = u->loop;

    if (u->state == UPSTREAM_IDLE) {
        list_remove(&u->idle);
        u->worker->n_idle--;
    }
    timer_cancel(l->wheel, &u->timer);
    conn_close(l, &u->conn, reset);
    loop_bury(l, &u->conn.io, free_upstream);
}
