#include "reply.h"

#include "account.h"
#include "drain.h"
#include "request.h"
#include "route.h"
#include "common/assets.h"
#include "common/buf.h"
#include "common/visit.h"

#include <stdio.h>
#include <string.h>

#define PAGE_MAX (24 * 1024)
#define ALLOW "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"

extern const struct asset gateway_assets[];

const char *reply_reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 303:
        return "See Other";
    case 308:
        return "Permanent Redirect";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 414:
        return "URI Too Long";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
}

/* ---- templates: {{name}} in a page is the value, escaped; {{?name}}...{{/}} stays only where the
 * value is not empty ---- */

struct value {
    const char *name, *text;
};

static const char *value_of(const struct value *values, const char *name, size_t len)
{
    for (; values->name; values++)
        if (strlen(values->name) == len && memcmp(values->name, name, len) == 0)
            return values->text ? values->text : "";
    return "";
}

static int fill(struct buf *b, const char *page, const struct value *values)
{
    const struct asset *a = asset_find(gateway_assets, page);
    const char *p = a ? (const char *)a->data : "", *open;
    int r = 0;

    while (r == 0 && (open = strstr(p, "{{"))) {
        const char *close = strstr(open, "}}");
        if (!close)
            break;
        r = buf_append(b, p, (size_t)(open - p));
        const char *name = open + 2;
        size_t len = (size_t)(close - name);
        p = close + 2;
        if (r < 0 || name[0] == '/')
            continue;
        if (name[0] != '?') {
            r = buf_html(b, value_of(values, name, len));
        } else if (!value_of(values, name + 1, len - 1)[0]) {
            const char *end = strstr(p, "{{/}}");
            p = end ? end + 5 : p + strlen(p);
        }
    }
    return r < 0 ? r : buf_puts(b, p);
}

/* ---- the answer itself ---- */

/* Head and body go into conn.out; client_step writes them, in the next round where nobody calls it
 * now (the socket may have been writable all along: no event comes). */
static void send_body(struct client *c, int status, const char *type, const char *fields,
                      const struct buf *body)
{
    struct loop *l = c->loop;
    char head[512];

    if (!c->up.done || drain_closes(c)) /* what is left of the request would be in the way */
        c->keep_alive = false;
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s%s%s\r\n",
                     status, reply_reason(status), loop_date(l), type, body->len, fields,
                     c->https ? l->hsts : "", c->keep_alive ? "" : "Connection: close\r\n");
    size_t body_len = c->is_head ? 0 : body->len;
    if (n < 0 || (size_t)n >= sizeof(head) ||
        gbuf_need(&l->bufs, &c->conn.out, (size_t)n + body_len) < 0) {
        client_close(c, true);
        return;
    }
    memcpy(c->conn.out->data + c->conn.out->tail, head, (size_t)n);
    c->conn.out->tail += (uint32_t)n;
    if (body_len)
        memcpy(c->conn.out->data + c->conn.out->tail, body->data, body_len);
    c->conn.out->tail += (uint32_t)body_len;
    c->down.bytes = body_len;
    account_answer(c, status);
    c->state = CLIENT_REPLY;
    client_again(c);
}

/* The site's address as this visitor reaches it: with the port of its own Host. "" if unknown. */
static void site_url(struct client *c, char *out, size_t size)
{
    struct loop *l = c->loop;
    const char *port = "";
    size_t port_len = 0;

    out[0] = '\0';
    if (l->conf->server_public_url[0]) {
        const char *url = l->conf->server_public_url;
        snprintf(out, size, "%s%s", url, url[strlen(url) - 1] == '/' ? "" : "/");
        return;
    }
    if (!c->head_kept)
        return;
    const struct http1_head *h = request_head(c);
    const char *host = gbuf_at(c->conn.in) + h->host, *colon = NULL;
    for (size_t i = h->host_len; i-- > 0 && host[i] >= '0' && host[i] <= '9';)
        if (i > 0 && host[i - 1] == ':')
            colon = host + i - 1;
    if (colon) {
        port = colon;
        port_len = h->host_len - (size_t)(colon - host);
    }
    snprintf(out, size, "http://%s%.*s/", l->domain, (int)port_len, port);
}

void reply_send(struct client *c, const struct reply *r)
{
    _cleanup_buf_ struct buf b = BUF_INIT(PAGE_MAX);
    char fields[64] = "", code[8], url[300];

    if (r->retry_after_s)
        snprintf(fields, sizeof(fields), "Retry-After: %u\r\n", r->retry_after_s);
    if (r->status == 405)
        snprintf(fields, sizeof(fields), ALLOW);
    if (r->close)
        c->keep_alive = false;
    if (c->html) {
        snprintf(code, sizeof(code), "%d", r->status);
        site_url(c, url, sizeof(url));
        fill(&b, "pages/error.html",
             (struct value[]){{"title", r->title},
                              {"text", r->text},
                              {"stage", r->stage},
                              {"code", code},
                              {"site", url},
                              {0}});
        send_body(c, r->status, "text/html; charset=utf-8", fields, &b);
        return;
    }
    buf_puts(&b, "{\"error\":");
    buf_json(&b, r->text && r->text[0] ? r->text : r->title);
    if (r->stage) {
        buf_puts(&b, ",\"stage\":");
        buf_json(&b, r->stage);
    }
    buf_puts(&b, "}\n");
    send_body(c, r->status, "application/json", fields, &b);
}

void reply_nothing(struct client *c, const struct route *r)
{
    if (!c->html) {
        reply_send(c, &(struct reply){.status = 404,
                                      .title = "Nothing lives here",
                                      .text = "No Space has this address."});
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(PAGE_MAX);
    char url[300], visit[400] = "";
    site_url(c, url, sizeof(url));
    if (url[0])
        snprintf(visit, sizeof(visit), "%svisit/%s", url, r->label);
    fill(&b, "pages/error.html",
         (struct value[]){{"title", "Nothing lives here"},
                          {"text", "No Space has this address."},
                          {"code", "404"},
                          {"site", url},
                          {"visit", visit},
                          {0}});
    send_body(c, 404, "text/html; charset=utf-8", "", &b);
}

/* Without a body: `fields` end with "\r\n". */
static void redirect(struct client *c, int status, const char *fields)
{
    struct loop *l = c->loop;
    size_t len = strlen(fields) + 320;
    if (!c->up.done || drain_closes(c))
        c->keep_alive = false;
    if (gbuf_need(&l->bufs, &c->conn.out, len) < 0) {
        client_close(c, true);
        return;
    }
    int n = snprintf(c->conn.out->data + c->conn.out->tail, len,
                     "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Length: 0\r\n"
                     "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n%s%s%s\r\n",
                     status, reply_reason(status), loop_date(l), fields, c->https ? l->hsts : "",
                     c->keep_alive ? "" : "Connection: close\r\n");
    c->conn.out->tail += (uint32_t)n;
    account_answer(c, status);
    c->state = CLIENT_REPLY;
    client_again(c);
}

void reply_to_site(struct client *c, const struct route *r)
{
    const struct http1_head *h = request_head(c);
    _cleanup_buf_ struct buf b = BUF_INIT(PAGE_MAX);
    char url[300];
    site_url(c, url, sizeof(url));
    if (buf_printf(&b, "Location: %svisit/%s?to=", url, r->label) == 0) {
        const char *t = gbuf_at(c->conn.in) + h->target;
        if (h->lead == '/')
            buf_puts(&b, "/");
        for (size_t i = 0; i < h->target_len; i++) {
            unsigned char ch = (unsigned char)t[i];
            bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                         (ch >= '0' && ch <= '9') || ch == '/' || ch == '-' || ch == '.';
            if (buf_printf(&b, plain ? "%c" : "%%%02X", ch) < 0)
                break;
        }
    }
    if (url[0] && buf_puts(&b, "\r\n") == 0)
        redirect(c, 303, b.data);
    else
        reply_nothing(c, r);
}

void reply_visit(struct client *c, const char *visit, size_t len, uint64_t seconds, bool framed,
                 const char *path, size_t path_len)
{
    _cleanup_buf_ struct buf b = BUF_INIT(PAGE_MAX);
    if (buf_printf(&b,
                   "Location: %.*s\r\nSet-Cookie: " VISIT_COOKIE
                   "=%.*s; Path=/; Max-Age=%llu; Secure; HttpOnly; SameSite=%s\r\n",
                   (int)path_len, path, (int)len, visit, (unsigned long long)seconds,
                   framed ? "None; Partitioned" : "Lax") == 0)
        redirect(c, 303, b.data);
    else
        client_close(c, true);
}

void reply_to_https(struct client *c, const char *host, size_t len)
{
    const struct http1_head *h = request_head(c);
    _cleanup_buf_ struct buf b = BUF_INIT(PAGE_MAX);
    if (buf_printf(&b, "Location: https://%.*s%s", (int)len, host, c->loop->https_port) == 0 &&
        buf_append(&b, gbuf_at(c->conn.in) + h->target, h->target_len) == 0 &&
        buf_puts(&b, "\r\n") == 0)
        redirect(c, 308, b.data);
    else
        client_close(c, true);
}

void reply_text(struct client *c, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT(PAGE_MAX);
    buf_puts(&b, text);
    send_body(c, 200, "text/plain", "", &b);
}

static const char *title_of(const struct route *r)
{
    return r->title[0] ? r->title : r->space[0] ? r->space : r->label;
}

void reply_wait_page(struct client *c, struct route *r)
{
    _cleanup_buf_ struct buf b = BUF_INIT(PAGE_MAX);
    char url[300];

    site_url(c, url, sizeof(url));
    fill(&b, "pages/wait.html",
         (struct value[]){{"title", title_of(r)},
                          {"space", r->space},
                          {"emoji", r->emoji},
                          {"stage", r->known ? proto_stage_name(r->stage) : ""},
                          {"message", r->message},
                          {"site", url},
                          {0}});
    send_body(c, 503, "text/html; charset=utf-8", "Retry-After: 2\r\nX-Robots-Tag: noindex\r\n",
              &b);
}

void reply_bot_page(struct client *c, struct route *r)
{
    _cleanup_buf_ struct buf b = BUF_INIT(PAGE_MAX);
    char url[300];

    site_url(c, url, sizeof(url));
    fill(&b, "pages/asleep.html",
         (struct value[]){
             {"title", title_of(r)}, {"space", r->space}, {"emoji", r->emoji}, {"site", url}, {0}});
    send_body(c, 200, "text/html; charset=utf-8", "", &b);
}

void reply_options(struct client *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16);
    send_body(c, 200, "text/plain; charset=utf-8", ALLOW, &b);
}

void reply_robots(struct client *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(256);
    buf_puts(&b, "# This Space is asleep, and brings its own robots.txt when it is awake.\n"
                 "User-agent: *\nDisallow: /\n");
    send_body(c, 200, "text/plain; charset=utf-8", "", &b);
}

void reply_events(struct client *c)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                               "Connection: close\r\n\r\n";
    struct loop *l = c->loop;

    c->keep_alive = false;
    if (gbuf_need(&l->bufs, &c->conn.out, sizeof(head)) < 0) {
        client_close(c, true);
        return;
    }
    memcpy(c->conn.out->data + c->conn.out->tail, head, sizeof(head) - 1);
    c->conn.out->tail += sizeof(head) - 1;
    account_answer(c, 200);
    account_stream(c, ACCOUNT_EVENTS);
    c->state = CLIENT_WATCH;
    client_again(c);
}
