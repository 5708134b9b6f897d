/* CONNECT: a connection of our own to the host, or to the operator's proxy, and then bytes. */
#include "egress/egress.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)a)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)(void *)a)->sin_port = htons(port);
}

static void failed(struct egress *e, struct conn *c)
{
    const char *what = c->proxy ? "the proxy " : "";
    if (c->last_error == EACCES) {
        say(&e->say,
            "%s has an address that is not public; [build] inside_hosts names hosts that may",
            c->to_find);
        door_refuse(e, c, 403, "%s has an address that is not public", c->to_find);
        return;
    }
    const char *why = strerror(c->last_error);
    say(&e->say, "cannot connect to %s%s: %s", what, c->to_find, why);
    door_refuse(e, c, 502, "cannot connect to %s%s: %s", what, c->to_find, why);
}

/* The next address that there is a connection under way to; else it has failed. */
void tunnel_begin(struct egress *e, struct conn *c)
{
    if (c->up >= 0)
        close(c->up);
    c->up = -1;
    if (!c->last_error)
        c->last_error = ETIMEDOUT;
    while (c->address < c->found.n) {
        struct sockaddr_storage a = c->found.addresses[c->address++];
        set_port(&a, c->proxy ? c->proxy->port : c->port);
        if (!policy_address_ok(&e->policy, c->inside, (struct sockaddr *)&a)) {
            c->last_error = EACCES;
            continue;
        }
        int one = 1;
        int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t len =
            a.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        if (fd >= 0 && (connect(fd, (struct sockaddr *)&a, len) == 0 || errno == EINPROGRESS)) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
            c->up = fd;
            c->state = CONN_CONNECT;
            c->until_ms = e->now_ms + CONNECT_MS;
            return;
        }
        c->last_error = errno;
        if (fd >= 0)
            close(fd);
    }
    failed(e, c);
}

/* The build is told that it is through, and what it sent already goes on. */
static void through(struct egress *e, struct conn *c)
{
    static const char ok[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    int one = 1;
    if (!flow_ready(&c->to_up) || !flow_ready(&c->to_client)) {
        door_close(e, c);
        return;
    }
    memcpy(c->to_client.data, ok, sizeof(ok) - 1);
    c->to_client.tail = sizeof(ok) - 1;
    setsockopt(c->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c->state = CONN_TUNNEL;
    c->until_ms = 0;
    c->moved_ms = e->now_ms;
}

static void ask_proxy(struct egress *e, struct conn *c)
{
    const struct policy_proxy *p = c->proxy;
    if (!flow_ready(&c->to_up)) {
        door_close(e, c);
        return;
    }
    c->to_up.tail = (uint32_t)snprintf(
        c->to_up.data, FLOW_BYTES, "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n%s%s%s\r\n", c->host,
        c->port, c->host, c->port, p->value[0] ? "Proxy-Authorization: " : "", p->value,
        p->value[0] ? "\r\n" : "");
    c->state = CONN_PROXY;
    c->until_ms = e->now_ms + HEAD_MS;
}

/* What the build sent behind its head is the tunnel's. */
static void keep_early(struct conn *c)
{
    size_t n = c->head_len - c->request.len;
    memmove(c->head, c->head + c->request.len, n);
    c->head_len = n;
}

static void on_connected(struct egress *e, struct conn *c)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (!(c->up_events & (POLLOUT | POLLERR | POLLHUP)))
        return;
    if (getsockopt(c->up, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error) {
        c->last_error = error;
        tunnel_begin(e, c);
        return;
    }
    keep_early(c);
    if (c->proxy) {
        ask_proxy(e, c);
        return;
    }
    through(e, c);
    if (c->state == CONN_TUNNEL) {
        memcpy(c->to_up.data, c->head, c->head_len);
        c->to_up.tail = (uint32_t)c->head_len;
    }
}

/* The proxy's answer is read into to_client, which nothing else uses yet. */
static void on_proxy(struct egress *e, struct conn *c)
{
    struct http1_head h;
    struct flow *f = &c->to_client;
    if (flow_send(&c->to_up, c->up) < 0 || !flow_ready(f)) {
        door_refuse(e, c, 502, "the proxy does not answer");
        return;
    }
    if (!(c->up_events & POLLIN))
        return;
    ssize_t n = recv(c->up, f->data + f->tail, HTTP1_HEAD_MAX - f->tail, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        f->tail += (uint32_t)n;
    int r = n > 0 ? http1_parse_response(&h, f->data, f->tail) : -1;
    if (r == 0)
        return;
    if (r < 0 || h.status < 200 || h.status > 299) {
        unsigned status = r < 0 ? 0 : h.status;
        say(&e->say, "the proxy %s refuses %s:%u (%u)", c->to_find, c->host, c->port, status);
        door_refuse(e, c, 502, "the proxy refuses %s:%u (%u)", c->host, c->port, status);
        return;
    }
    size_t more = f->tail - (size_t)r; /* of the tunnel already */
    char early[HTTP1_HEAD_MAX];
    memcpy(early, f->data + r, more);
    f->head = f->tail = 0;
    through(e, c);
    if (c->state != CONN_TUNNEL)
        return;
    memcpy(f->data + f->tail, early, more);
    f->tail += (uint32_t)more;
    memcpy(c->to_up.data, c->head, c->head_len);
    c->to_up.tail = (uint32_t)c->head_len;
}

/* One read and what can be written of it. False where the connection is broken. */
static bool pump(struct egress *e, struct conn *c, struct flow *f, int from, short events, int to,
                 bool in)
{
    if ((events & (POLLIN | POLLHUP | POLLERR)) && !f->eof && f->tail < FLOW_BYTES) {
        ssize_t n = recv(from, f->data + f->tail, FLOW_BYTES - f->tail, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n == 0)
            f->eof = true;
        if (n > 0) {
            f->tail += (uint32_t)n;
            c->moved_ms = e->now_ms;
            if (!door_count(e, in ? (uint64_t)n : 0, in ? 0 : (uint64_t)n))
                return false;
        }
    }
    uint32_t before = f->tail - f->head;
    if (flow_send(f, to) < 0)
        return false;
    if (f->tail - f->head != before)
        c->moved_ms = e->now_ms;
    if (f->eof && !f->done && f->tail == 0) {
        f->done = true;
        shutdown(to, SHUT_WR);
    }
    return true;
}

void tunnel_step(struct egress *e, struct conn *c)
{
    if (c->state == CONN_CONNECT) {
        on_connected(e, c);
    } else if (c->state == CONN_PROXY) {
        on_proxy(e, c);
    } else if (!pump(e, c, &c->to_client, c->up, c->up_events, c->client, true) ||
               !pump(e, c, &c->to_up, c->client, c->client_events, c->up, false) ||
               (c->to_client.done && c->to_up.done)) {
        door_close(e, c);
    }
}

void tunnel_wants(const struct conn *c, short *client, short *up)
{
    if (c->state == CONN_CONNECT) {
        *up = POLLOUT;
    } else if (c->state == CONN_PROXY) {
        *up = (short)(POLLIN | (c->to_up.tail ? POLLOUT : 0));
    } else {
        *client = (short)((!c->to_up.eof && c->to_up.tail < FLOW_BYTES ? POLLIN : 0) |
                          (c->to_client.tail ? POLLOUT : 0));
        *up = (short)((!c->to_client.eof && c->to_client.tail < FLOW_BYTES ? POLLIN : 0) |
                      (c->to_up.tail ? POLLOUT : 0));
    }
}
