#include "request.h"

#include "access.h"
#include "account.h"
#include "acme.h"
#include "drain.h"
#include "forwarded.h"
#include "h2.h"
#include "proxy.h"
#include "reply.h"
#include "rewrite.h"
#include "route.h"
#include "tally.h"
#include "tls.h"
#include "wake.h"
#include "worker.h"

#include <errno.h>
#include <string.h>

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
    switch (len) {
    case 3:
        return memcmp(m, "GET", 3) == 0 || memcmp(m, "PUT", 3) == 0;
    case 4:
        return memcmp(m, "HEAD", 4) == 0;
    case 6:
        return memcmp(m, "DELETE", 6) == 0;
    case 7:
        return memcmp(m, "OPTIONS", 7) == 0;
    default:
        return false;
    }
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

const struct http1_head *request_head(struct client *c)
{
    struct loop *l = c->loop;
    if (l->head_of != c) {
        http1_parse_request(&l->head, gbuf_at(c->conn.in), gbuf_len(c->conn.in));
        l->head_of = c;
    }
    return &l->head;
}

void request_dispatch(struct client *c)
{
    struct loop *l = c->loop;
    const struct http1_head *h = request_head(c);
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

void request_refuse(struct client *c, int status, const char *why)
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

void request_read(struct client *c)
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
                    request_dispatch(c);
                    return;
                }
                if (r < 0) {
                    request_refuse(c, -r, l->head.error);
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
            request_refuse(c, 400, "this port speaks HTTPS: the address begins with https://");
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
