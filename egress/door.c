/* The build's connections: what each asks for, whether it is allowed, and its end. */
#include "egress/egress.h"

#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool flow_ready(struct flow *f)
{
    if (!f->data)
        f->data = malloc(FLOW_BYTES);
    return f->data != NULL;
}

int flow_send(struct flow *f, int fd)
{
    while (f->head < f->tail) {
        ssize_t n = send(fd, f->data + f->head, f->tail - f->head, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        f->head += (uint32_t)n;
    }
    f->head = f->tail = 0;
    return 0;
}

void door_accept(struct egress *e)
{
    for (uint64_t i = 0; i < e->policy.connections; i++) {
        if (e->conns[i])
            continue;
        int fd = accept4(e->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        struct conn *c = calloc(1, sizeof(*c));
        if (!c) {
            close(fd);
            return;
        }
        c->client = fd;
        c->up = -1;
        c->begun_ms = c->moved_ms = e->now_ms;
        c->until_ms = e->now_ms + HEAD_MS;
        e->conns[i] = c;
        e->connections++;
    }
}

void door_close(struct egress *e, struct conn *c)
{
    fetch_free(e, c);
    close(c->client);
    if (c->up >= 0)
        close(c->up);
    free(c->to_up.data);
    free(c->to_client.data);
    for (uint64_t i = 0; i < e->policy.connections; i++)
        if (e->conns[i] == c)
            e->conns[i] = NULL;
    free(c);
}

void door_cut(struct egress *e, struct conn *c)
{
    struct linger reset = {.l_onoff = 1};
    setsockopt(c->client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    door_close(e, c);
}

void door_refuse(struct egress *e, struct conn *c, int status, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++) /* it is in a status line */
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            *p = ' ';
    fetch_free(e, c);
    if (c->up >= 0)
        close(c->up);
    c->up = -1;
    if (!flow_ready(&c->to_client)) {
        c->state = CONN_LINGER;
        c->until_ms = e->now_ms;
        return;
    }
    struct flow *f = &c->to_client;
    f->head = 0;
    f->tail = (uint32_t)snprintf(f->data, FLOW_BYTES,
                                 "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                                 "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
                                 status, text, strlen(text) + 1, text);
    c->state = CONN_LAST;
    c->until_ms = e->now_ms + HEAD_MS;
}

bool door_count(struct egress *e, uint64_t in, uint64_t out)
{
    e->bytes_in += in;
    e->bytes_out += out;
    return e->bytes_in + e->bytes_out <= e->policy.bytes;
}

/* The product that it names first, if that looks like one. */
static void note_who(struct conn *c)
{
    const struct http1_head *h = &c->request;
    snprintf(c->who, sizeof(c->who), "the build");
    for (unsigned i = 0; i < h->n_fields; i++) {
        if (h->fields[i].id != FIELD_USER_AGENT)
            continue;
        const char *v = c->head + h->fields[i].value;
        size_t n = 0;
        while (n < h->fields[i].value_len && n < 40 &&
               (isalnum((unsigned char)v[n]) || v[n] == '-'))
            n++;
        if (n && (n == h->fields[i].value_len || v[n] == '/' || v[n] == ' '))
            snprintf(c->who, sizeof(c->who), "%.*s", (int)n, v);
        return;
    }
}

static bool take_host(struct conn *c)
{
    const struct http1_head *h = &c->request;
    size_t host_len;
    const char *p = c->head + h->host;
    if (!http1_host_ok(p, h->host_len, &host_len) || host_len >= sizeof(c->host))
        return false;
    for (size_t i = 0; i < host_len; i++)
        c->host[i] = (char)tolower((unsigned char)p[i]);
    if (host_len > 1 && c->host[host_len - 1] == '.')
        host_len--; /* the root's dot changes nothing but the name that is compared */
    c->host[host_len] = '\0';
    unsigned long port = h->secure ? 443 : 80;
    const char *colon = memchr(p, ':', h->host_len);
    if (p[0] == '[')
        colon = memchr(p + host_len, ':', h->host_len - host_len);
    if (colon && colon + 1 < p + h->host_len)
        port = strtoul(colon + 1, NULL, 10);
    c->port = (uint16_t)port;
    return port >= 1 && port <= 65535;
}

/* Says it in the log, and to who asked. */
static void not_allowed(struct egress *e, struct conn *c, bool other_ports)
{
    say_runner(&e->say, "@refused %s:%u", c->host, c->port);
    say(&e->say, "%s asked for %s:%u, which [build] hosts does not allow%s", c->who, c->host,
        c->port, other_ports ? " at that port" : "");
    door_refuse(e, c, 403, "%s:%u is not among [build] hosts", c->host, c->port);
}

static void go_on(struct egress *e, struct conn *c)
{
    const struct name *name = names_get(e->names, c->to_find);
    if (!name)
        return;
    if (name->error || name->n == 0) {
        const char *why = name->error ? gai_strerror(name->error) : "it has no address";
        say(&e->say, "%s: %s", c->to_find, why);
        door_refuse(e, c, 502, "cannot find %s: %s", c->to_find, why);
        return;
    }
    c->found = *name;
    if (c->request.connect)
        tunnel_begin(e, c);
    else
        fetch_begin(e, c);
}

static void decide(struct egress *e, struct conn *c)
{
    const struct http1_head *h = &c->request;
    bool other_ports;
    note_who(c);
    if (!take_host(c)) {
        door_refuse(e, c, 400, "that is no port");
        return;
    }
    if (e->bytes_in + e->bytes_out > e->policy.bytes) {
        door_refuse(e, c, 403, "the build has transferred all that [build] max_transfer allows");
        return;
    }
    bool get = h->method_len == 3 && memcmp(c->head + h->method, "GET", 3) == 0;
    bool head = h->method_len == 4 && memcmp(c->head + h->method, "HEAD", 4) == 0;
    if (!h->connect && ((!get && !head) || h->body != BODY_NONE)) {
        door_refuse(e, c, 405, "only GET and HEAD go through here");
        return;
    }
    if (!h->connect && !h->secure)
        c->login = policy_login(&e->policy, c->host, c->port);
    uint16_t port = c->login ? c->login->port : c->port;
    bool secure = h->connect || h->secure || (c->login && c->login->secure);
    const struct policy_host *allowed = policy_allows(&e->policy, c->host, port, &other_ports);
    if (!allowed) {
        not_allowed(e, c, other_ports);
        return;
    }
    c->port = port;
    c->proxy = policy_proxy(&e->policy, secure, c->host, port);
    c->inside = allowed->inside || c->proxy;
    c->to_find = c->proxy ? c->proxy->host : c->host;
    c->state = CONN_NAME;
    c->until_ms = e->now_ms + HEAD_MS;
    go_on(e, c);
}

static void read_head(struct egress *e, struct conn *c)
{
    if (!(c->client_events & POLLIN))
        return;
    ssize_t n = recv(c->client, c->head + c->head_len, sizeof(c->head) - c->head_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        door_close(e, c);
        return;
    }
    c->head_len += (size_t)n;
    int r = http1_parse_proxy_request(&c->request, c->head, c->head_len);
    if (r < 0)
        door_refuse(e, c, -r, "%s", c->request.error);
    else if (r > 0)
        decide(e, c);
}

static void send_last(struct egress *e, struct conn *c)
{
    if (flow_send(&c->to_client, c->client) < 0) {
        door_close(e, c);
        return;
    }
    if (c->to_client.tail)
        return;
    shutdown(c->client, SHUT_WR);
    c->state = CONN_LINGER;
    c->until_ms = e->now_ms + LINGER_MS;
}

/* What it still sends is of no use; its end is. */
static void linger(struct egress *e, struct conn *c)
{
    char scratch[4096];
    if (!(c->client_events & POLLIN))
        return;
    ssize_t n = recv(c->client, scratch, sizeof(scratch), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        door_close(e, c);
}

static void too_late(struct egress *e, struct conn *c)
{
    switch (c->state) {
    case CONN_NAME:
        say(&e->say, "%s: its name was not found in time", c->to_find);
        door_refuse(e, c, 504, "the name of %s was not found in time", c->to_find);
        break;
    case CONN_CONNECT:
        tunnel_begin(e, c); /* its next address */
        break;
    case CONN_PROXY:
        door_refuse(e, c, 504, "the proxy does not answer");
        break;
    default:
        door_close(e, c);
    }
}

void door_step(struct egress *e, struct conn *c)
{
    if (c->until_ms && e->now_ms >= c->until_ms) {
        too_late(e, c);
        return;
    }
    if (c->state >= CONN_TUNNEL && c->state <= CONN_FETCH &&
        (e->now_ms - c->moved_ms > e->policy.idle_ms ||
         e->now_ms - c->begun_ms > e->policy.connection_ms)) {
        bool idle = e->now_ms - c->moved_ms > e->policy.idle_ms;
        if (!idle)
            say(&e->say, "a connection to %s took longer than %llu s", c->host,
                (unsigned long long)(e->policy.connection_ms / 1000));
        door_cut(e, c);
        return;
    }
    switch (c->state) {
    case CONN_HEAD:
        read_head(e, c);
        break;
    case CONN_NAME:
        go_on(e, c);
        break;
    case CONN_CONNECT:
    case CONN_PROXY:
    case CONN_TUNNEL:
        tunnel_step(e, c);
        break;
    case CONN_FETCH: {
        char scratch[4096];
        ssize_t n = c->client_events & POLLIN
                        ? recv(c->client, scratch, sizeof(scratch), MSG_DONTWAIT)
                        : -1;
        uint32_t before = c->to_client.tail - c->to_client.head;
        if (n == 0 || flow_send(&c->to_client, c->client) < 0) {
            door_close(e, c); /* it does not want it any more */
            return;
        }
        if (c->to_client.tail - c->to_client.head != before)
            c->moved_ms = e->now_ms;
        fetch_resume(c);
        break;
    }
    case CONN_LAST:
        send_last(e, c);
        break;
    case CONN_LINGER:
        linger(e, c);
        break;
    }
}
