#include "client.h"

#include "access.h"
#include "account.h"
#include "acme.h"
#include "crew.h"
#include "drain.h"
#include "forwarded.h"
#include "h2.h"
#include "intro.h"
#include "limits.h"
#include "proxy.h"
#include "reply.h"
#include "rewrite.h"
#include "tally.h"
#include "tls.h"
#include "trust.h"
#include "visit.h"
#include "wake.h"
#include "worker.h"
#include "common/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ACCEPT_BATCH 64
#define LINGER_MS 2000
#define LINGER_READS 64
#define TURN_STEPS 32 /* requests of one pipeline before others have their turn */
#define ACCEPT_PAUSE_MS 100

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

static bool is_bot(const char *ua, size_t len)
{
    static const char *const words[] = {"bot",   "crawl",   "spider",
                                        "slurp", "preview", "facebookexternalhit"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (http1_contains(ua, len, words[i]))
            return true;
    return false;
}

/* RFC 9110 9.2.2 */
static bool is_idempotent(const char *m, size_t len)
{
    static const char *const names[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strlen(names[i]) == len && memcmp(names[i], m, len) == 0)
            return true;
    return false;
}

/* What the rest of the request's life depends on, from its head. */
static void take_facts(struct client *c, const struct http1_head *h)
{
    const char *p = gbuf_at(c->conn.in), *m = p + h->method;
    bool get = h->method_len == 3 && memcmp(m, "GET", 3) == 0, mode_seen = false;
    bool navigate = false, html_first = false;

    c->head_len = h->len;
    c->head_kept = true;
    c->parsed_len = 0;
    c->minor = h->minor;
    c->https = c->conn.secure;
    c->keep_alive = h->keep_alive;
    c->is_head = h->method_len == 4 && memcmp(m, "HEAD", 4) == 0;
    c->retryable = h->body == BODY_NONE && is_idempotent(m, h->method_len);
    c->upgrade = h->upgrade_websocket;
    /* Nothing of the connection's earlier request goes on: least of all where its chunks had ended.
     */
    c->up = (struct flow){.body = h->body, .left = h->content_length};
    c->up.chunk_out = h->body == BODY_CHUNKED;
    c->up.trailers_ok = true;
    c->up.done = h->body == BODY_NONE;
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        const char *v = p + f->value;
        if (f->id == FIELD_ACCEPT) {
            c->html = c->html || http1_contains(v, f->value_len, "text/html");
            html_first = f->value_len >= 9 && http1_is(v, 9, "text/html");
        } else if (f->id == FIELD_SEC_FETCH_MODE) {
            mode_seen = true;
            navigate = http1_is(v, f->value_len, "navigate");
        }
    }
    c->navigation = get && c->html && (mode_seen ? navigate : html_first);
}

/* What is only of interest while a Space has no worker. */
static void take_wake_facts(struct client *c, const struct http1_head *h)
{
    const char *p = gbuf_at(c->conn.in), *t = p + h->target;
    const char *query = memchr(t, '?', h->target_len);
    size_t path = query ? (size_t)(query - t) : h->target_len;
    bool get = h->method_len == 3 && memcmp(p + h->method, "GET", 3) == 0;

    c->robots = (get || c->is_head) && path == 11 && memcmp(t, "/robots.txt", 11) == 0;
    for (unsigned i = 0; i < h->n_fields; i++)
        if (h->fields[i].id == FIELD_USER_AGENT)
            c->bot = is_bot(p + h->fields[i].value, h->fields[i].value_len);
}

const struct http1_head *client_head(struct client *c)
{
    struct loop *l = c->loop;
    if (l->head_of != c) {
        http1_parse_request(&l->head, gbuf_at(c->conn.in), gbuf_len(c->conn.in));
        l->head_of = c;
    }
    return &l->head;
}

void client_dispatch(struct client *c)
{
    struct loop *l = c->loop;
    const struct http1_head *h = client_head(c);
    const char *p = gbuf_at(c->conn.in);
    char host[HTTP1_HOST_MAX + 1];
    size_t len = 0;

    for (; len < h->host_len && p[h->host + len] != ':'; len++) {
        char ch = p[h->host + len];
        host[len] = ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
    }
    if (len && host[len - 1] == '.') /* the root's dot */
        len--;

    if (h->method_len == 5 && memcmp(p + h->method, "TRACE", 5) == 0) {
        /* it would show fields to scripts that must not see them */
        reply_send(c, &(struct reply){.status = 405, .title = "Method not allowed"});
        return;
    }
    if (acme_is_challenge(p + h->target, h->target_len)) {
        acme_ask(c, p + h->target, h->target_len);
        return;
    }
    if (rewrite_counts_hops(h, p) && h->max_forwards == 0) {
        reply_options(c);
        return;
    }
    if (len == l->domain_len && memcmp(host, l->domain, len) == 0) {
        account_enter(c, tally_site(l));
        if (l->to_https && !c->https)
            reply_to_https(c, host, len);
        else
            proxy_request(c, l->workers->site);
        return;
    }
    if (len > l->demo_suffix_len &&
        memcmp(host + len - l->demo_suffix_len, l->demo_suffix, l->demo_suffix_len) == 0) {
        size_t label = len - l->demo_suffix_len;
        if (label < 64 && !memchr(host, '.', label)) {
            static const char wait_path[] = "/.vitrine/wait";
            size_t n = sizeof(wait_path) - 1;
            const char *t = p + h->target;
            c->wait_path = h->target_len >= n && memcmp(t, wait_path, n) == 0 &&
                           (h->target_len == n || t[n] == '?');
            struct route *r = route_get(l, host, label);
            if (r && r->tally)
                account_enter(c, r->tally);
            if (l->to_https && !c->https) {
                if (r && c->account.line)
                    access_space(c, r);
                reply_to_https(c, host, len);
                return;
            }
            if (!r) {
                reply_send(c, &(struct reply){.status = 503,
                                              .title = "Too busy",
                                              .text = "Too many Spaces are in use right now.",
                                              .retry_after_s = 5});
                return;
            }
            if (c->account.line)
                access_space(c, r);
            if (!r->worker)
                take_wake_facts(c, h);
            wake_dispatch(c, r);
            return;
        }
    }
    reply_send(c, &(struct reply){.status = 404,
                                  .title = "Nothing lives here",
                                  .text = "No Space has this address."});
}

static void refuse(struct client *c, int status, const char *why)
{
    account_begin(c, NULL);
    c->minor = 1;
    c->html = false;
    c->keep_alive = false;
    c->head_kept = false;
    c->head_len = 0;
    reply_send(c, &(struct reply){.status = status, .title = why, .close = true});
}

static const struct reply too_many = {.status = 503,
                                      .title = "Too many requests at the same time",
                                      .text = "Your address has too many requests under way.",
                                      .retry_after_s = 5};

static void read_request(struct client *c)
{
    struct loop *l = c->loop;

    for (;;) {
        size_t len = gbuf_len(c->conn.in);
        if (c->conn.tls && c->conn.tls->h2) {
            h2_begin(c);
            return;
        }
        if (len > c->parsed_len) {
            const char *p = gbuf_at(c->conn.in);
            /* only a line end (or too many bytes) can make a difference to what was seen before */
            if (c->parsed_len == 0 || len >= HTTP1_HEAD_MAX ||
                memchr(p + c->parsed_len, '\n', len - c->parsed_len)) {
                l->head_of = NULL;
                int r = http1_parse_request(&l->head, p, len);
                if (r > 0) {
                    l->head_of = c;
                    take_facts(c, &l->head);
                    if (c->trusted && !forwarded_take(c, &l->head)) {
                        account_begin(c, &l->head);
                        reply_send(c, &too_many);
                        return;
                    }
                    account_begin(c, &l->head);
                    client_dispatch(c);
                    return;
                }
                if (r < 0) {
                    refuse(c, -r, l->head.error);
                    return;
                }
            }
            c->parsed_len = (uint16_t)len;
        }
        int n = conn_read(l, &c->conn);
        if (n == -EAGAIN && c->conn.tls && c->conn.tls->h2)
            continue;
        if (n == -EAGAIN)
            break;
        if (n == -EPROTOTYPE) {
            refuse(c, 400, "this port speaks HTTPS: the address begins with https://");
            return;
        }
        if (n <= 0) {
            client_close(c, false);
            return;
        }
    }
    if (gbuf_len(c->conn.in) == 0) {
        conn_trim(l, &c->conn);
        if (tls_opening(&c->conn)) /* within what a header has, from the connection's beginning */
            return;
        if (!tls_midway(&c->conn)) {
            if (l->stopping && !l->draining)
                client_close(c, false);
            else if (!c->idle_armed)
                client_set_deadline(c, l->draining   ? drain_patience_ms(c)
                                       : c->requests ? l->conf->gateway_idle_timeout
                                                     : l->conf->gateway_header_timeout);
            c->idle_armed = true;
            return;
        }
    }
    if (!c->head_since_ms) {
        c->head_since_ms = l->now_ms;
        client_set_deadline(c, l->conf->gateway_header_timeout);
    }
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
            read_request(c);
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
        refuse(c, 408, "the request's header did not arrive in time");
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

static void turn_away(int fd, bool tls)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Retry-After: 5\r\nConnection: close\r\n\r\n";
    if (!tls)
        send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}

static bool is_loopback(const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
    }
    return peer->ss_family == AF_INET &&
           ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr) >> 24 == 127;
}

static struct client *new_client(struct loop *l, int fd, struct limits_address *address)
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
    struct client *c = new_client(l, CONN_NO_FD, carrier->address);
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
    list_push_back(&l->clients, &c->all);
    crew_set(l, CREW_CLIENTS, ++l->n_clients);
    client_set_deadline(c, l->conf->gateway_header_timeout);
    return c;
}

/* False where it is closed already. */
static bool accept_one(struct loop *l, const struct listener *from, int fd,
                       const struct sockaddr_storage *peer)
{
    struct limits_address *address;
    /* With a proxy in front every visitor has the proxy's address: only the totals hold then. */
    bool trusted = trust_covers(l, peer);
    bool behind_proxy =
        trusted || (l->conf->server_public_url[0] && !l->conf->tls_listen[0] && is_loopback(peer));
    uint64_t max = behind_proxy ? UINT64_MAX : l->conf->gateway_max_per_address;

    if (from->proxied && !trusted) { /* it could claim to be anybody */
        char ip[46];
        bool ip6;
        trust_text(peer, ip, &ip6);
        intro_say(l, ip, "it is not among server.trusted_proxies");
        tally_turned_away(l);
        close(fd);
        return false;
    }
    if (crew_total(l, CREW_CLIENTS) >= l->conf->gateway_max_connections ||
        !(address = limits_enter(l->limits, peer, max))) {
        tally_turned_away(l);
        turn_away(fd, from->tls);
        return false;
    }
    struct client *c = new_client(l, fd, address);
    if (!c) {
        limits_leave(address);
        tally_turned_away(l);
        turn_away(fd, from->tls);
        return false;
    }
    c->behind_proxy = behind_proxy;
    c->state = from->proxied ? CLIENT_INTRO : CLIENT_READ;
    c->trusted = trusted && !from->proxied; /* a proxied one speaks by its header */
    trust_text(peer, c->peer_ip, &c->peer_ip6);
    memcpy(c->ip, c->peer_ip, sizeof(c->ip));
    c->ip6 = c->peer_ip6;
    list_push_back(&l->clients, &c->all);
    crew_set(l, CREW_CLIENTS, ++l->n_clients);
    tally_accepted(l);
    client_set_deadline(c, l->conf->gateway_header_timeout);
    if ((from->tls && tls_begin(l, &c->conn) < 0) || loop_add(l, &c->conn.io) < 0)
        client_close(c, true);
    return true;
}

void client_take(struct loop *l, const struct listener *from, int fd,
                 const struct sockaddr_storage *peer)
{
    if (!accept_one(l, from, fd, peer))
        crew_left(l);
}

static void accept_again(struct timer *t)
{
    struct loop *l = container_of(t, struct loop, accept_timer);
    for (int i = 0; i < PROTO_LISTENERS && !l->stopping; i++)
        if (l->listeners[i].io.fd >= 0)
            loop_watch(l, &l->listeners[i]); /* those that are: EEXIST */
    l->accept_paused = false;
}

void client_on_listener(struct loop *l, struct io *io, uint32_t events)
{
    struct listener *listener = container_of(io, struct listener, io);
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int fd = accept4(io->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (!crew_hand_over(l, listener, fd, &peer))
                client_take(l, listener, fd, &peer);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warn(NULL, "gateway.accept",
                     "cannot accept a connection: %s; raise the limit of "
                     "open files",
                     strerror(errno));
            loop_unwatch(l, listener);
            l->accept_paused = true;
            l->accept_timer.on_fire = accept_again;
            timer_set(l->wheel, &l->accept_timer, l->now_ms + ACCEPT_PAUSE_MS);
            return;
        }
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}
