#include "rewrite.h"

#include "access.h"
#include "route.h"
#include "worker.h"

#include <errno.h>
#include <string.h>

#define OWN_FIELDS_MAX 704 /* what a Space's card and HTTPS add to an answer */
#define OUR_COOKIES                                                                                \
    "__host-vitrine" /* begins the names of ours; in lower case, as http1_is wants it */

/* Appends to a buffer whose room was made sure of before. */
struct out {
    char *p;
};

static void put(struct out *o, const char *s, size_t n)
{
    memcpy(o->p, s, n);
    o->p += n;
}
#define PUT(o, literal) put(o, "" literal "", sizeof(literal) - 1)

static void put_u64(struct out *o, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    put(o, digits + at, sizeof(digits) - at);
}

/* Copies the fields that `pass` lets through; lines that lie side by side and are as we would write
 * them go in one piece. */
static void put_field(struct out *o, const char *p, const struct http1_field *f)
{
    put(o, p + f->name, f->name_len);
    PUT(o, ": ");
    put(o, p + f->value, f->value_len);
    PUT(o, "\r\n");
}

static size_t line_end(const struct http1_field *f)
{
    return (size_t)f->value + f->value_len + 2;
}

static bool request_field_passes(const struct client *c, const struct http1_head *h, const char *p,
                                 const struct http1_field *f)
{
    bool site = c->worker->site;
    switch (f->id) {
    case FIELD_OURS:
        return site && (!h->has_named_hops || !http1_named_hop(h, p, f));
    case FIELD_AUTHORIZATION:
        if (c->drop_authorization && !site)
            return false;
        return !h->has_named_hops || !http1_named_hop(h, p, f);
    case FIELD_OTHER:
        if (c->account.line && http1_is(p + f->name, f->name_len, "x-request-id"))
            return false;
        return !h->has_named_hops || !http1_named_hop(h, p, f);
    case FIELD_COOKIE:
    case FIELD_ACCEPT:
    case FIELD_USER_AGENT:
    case FIELD_SEC_FETCH_MODE:
    case FIELD_DATE:
    case FIELD_SET_COOKIE:
    case FIELD_SITE_WIDE:
    case FIELD_MAX_FORWARDS:
    case FIELD_END_TO_END:
        return !h->has_named_hops || !http1_named_hop(h, p, f);
    case FIELD_HOST:
        return !h->absolute;
    case FIELD_EXPECT:
        return h->expect_continue;
    default: /* framing and hop-by-hop fields are written anew, if at all */
        return false;
    }
}

static bool response_field_passes(const struct http1_head *h, const char *p,
                                  const struct http1_field *f, bool site)
{
    switch (f->id) {
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_CONNECTION:
    case FIELD_UPGRADE:
    case FIELD_HOP:
        return false;
    case FIELD_SITE_WIDE:
        return site;
    default:
        return !h->has_named_hops || !http1_named_hop(h, p, f);
    }
}

/* A run of plain lines that pass, kept until something breaks it. */
struct run {
    size_t start, end;
};

static void run_flush(struct out *o, const char *p, struct run *run)
{
    if (run->end > run->start)
        put(o, p + run->start, run->end - run->start);
    run->start = run->end = 0;
}

static void run_add(struct out *o, const char *p, struct run *run, const struct http1_field *f)
{
    if (!f->plain) {
        run_flush(o, p, run);
        put_field(o, p, f);
        return;
    }
    if (run->end != f->name) {
        run_flush(o, p, run);
        run->start = f->name;
    }
    run->end = line_end(f);
}

/* The visitor's word for us: nothing for a demo to keep. */
static bool has_our_cookie(const char *p, const struct http1_field *f)
{
    return http1_contains(p + f->value, f->value_len, OUR_COOKIES);
}

/* The line without them; none at all where nothing is left. */
static void put_others_cookies(struct out *o, const char *p, const struct http1_field *f)
{
    const char *v = p + f->value, *end = v + f->value_len;
    bool any = false;
    while (v < end) {
        const char *stop = memchr(v, ';', (size_t)(end - v));
        stop = stop ? stop : end;
        while (v < stop && (*v == ' ' || *v == '\t'))
            v++;
        size_t len = (size_t)(stop - v), ours = sizeof(OUR_COOKIES) - 1;
        if (len && (len < ours || !http1_is(v, ours, OUR_COOKIES))) {
            if (!any) {
                put(o, p + f->name, f->name_len);
                PUT(o, ": ");
            } else {
                PUT(o, "; ");
            }
            put(o, v, len);
            any = true;
        }
        v = stop + 1;
    }
    if (any)
        PUT(o, "\r\n");
}

bool rewrite_counts_hops(const struct http1_head *h, const char *p)
{
    return h->has_max_forwards && h->method_len == 7 && memcmp(p + h->method, "OPTIONS", 7) == 0;
}

int rewrite_request(struct client *c, const struct http1_head *h, const char *p, struct gbuf **out)
{
    /* a line can grow by the blank behind its colon; the rest is what is added below */
    size_t ip_len = strlen(c->ip), host_len = c->host_len ? c->host_len : h->host_len;
    const char *host = p + (c->host_len ? c->host_at : h->host);
    int r = gbuf_need(&c->loop->bufs, out,
                      2u * (size_t)h->len + h->n_fields + h->host_len + 2 * host_len + 2 * ip_len +
                          400);
    if (r < 0)
        return r;
    struct out o = {(*out)->data + (*out)->tail};
    struct run run = {0};

    put(&o, p + h->method, h->method_len);
    PUT(&o, " ");
    if (h->lead)
        put(&o, &h->lead, 1);
    put(&o, p + h->target, h->target_len);
    PUT(&o, " HTTP/1.1\r\n");
    if (h->absolute) {
        PUT(&o, "Host: ");
        put(&o, p + h->host, h->host_len);
        PUT(&o, "\r\n");
    }
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (!request_field_passes(c, h, p, f))
            continue;
        if (f->id == FIELD_COOKIE && !c->worker->site && has_our_cookie(p, f)) {
            run_flush(&o, p, &run);
            put_others_cookies(&o, p, f);
        } else if (f->id == FIELD_MAX_FORWARDS && rewrite_counts_hops(h, p)) {
            run_flush(&o, p, &run);
            PUT(&o, "Max-Forwards: ");
            put_u64(&o, h->max_forwards - 1);
            PUT(&o, "\r\n");
        } else {
            run_add(&o, p, &run, f);
        }
    }
    run_flush(&o, p, &run);

    if (h->body == BODY_CHUNKED) {
        PUT(&o, "Transfer-Encoding: chunked\r\n");
    } else if (h->has_length) {
        PUT(&o, "Content-Length: ");
        put_u64(&o, h->content_length);
        PUT(&o, "\r\n");
    }
    if (c->upgrade)
        PUT(&o, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    if (c->account.line) { /* so that the demo's log can be held against ours */
        char id[ACCESS_ID];
        access_id(c, id);
        PUT(&o, "X-Request-Id: ");
        put(&o, id, strlen(id));
        PUT(&o, "\r\n");
    }
    PUT(&o, "X-Forwarded-For: ");
    put(&o, c->ip, ip_len);
    PUT(&o, "\r\nX-Forwarded-Host: ");
    put(&o, host, host_len);
    if (c->https)
        PUT(&o, "\r\nX-Forwarded-Proto: https\r\nForwarded: for=");
    else
        PUT(&o, "\r\nX-Forwarded-Proto: http\r\nForwarded: for=");
    if (c->ip6)
        PUT(&o, "\"[");
    put(&o, c->ip, ip_len);
    if (c->ip6)
        PUT(&o, "]\"");
    PUT(&o, ";host=\"");
    put(&o, host, host_len);
    if (c->https)
        PUT(&o, "\";proto=https\r\nVia: ");
    else
        PUT(&o, "\";proto=http\r\nVia: ");
    if (c->conn.layer == CONN_STREAM) /* its text is one of HTTP/1.1 here alone (h2.h) */
        PUT(&o, "2");
    else
        put(&o, h->minor ? "1.1" : "1.0", 3);
    PUT(&o, " vitrine\r\n\r\n");
    (*out)->tail = (uint32_t)(o.p - (*out)->data);
    return 0;
}

/* Set-Cookie without its Domain attribute: the cookie stays with the Space's own host. */
static void put_cookie(struct out *o, const char *p, const struct http1_field *f)
{
    const char *v = p + f->value;
    size_t len = f->value_len, i = 0;
    bool first = true;

    put(o, p + f->name, f->name_len);
    PUT(o, ": ");
    while (i <= len) {
        size_t end = i;
        while (end < len && v[end] != ';')
            end++;
        size_t a = i, b = end;
        while (a < b && (v[a] == ' ' || v[a] == '\t'))
            a++;
        size_t name = a;
        while (name < b && v[name] != '=' && v[name] != ' ' && v[name] != '\t')
            name++;
        if (first || !http1_is(v + a, name - a, "domain")) {
            if (!first)
                PUT(o, ";");
            put(o, v + i, end - i);
        }
        first = false;
        i = end + 1;
    }
    PUT(o, "\r\n");
}

static bool cookie_names_domain(const char *p, const struct http1_field *f)
{
    return http1_contains(p + f->value, f->value_len, "domain");
}

/* A demo has no say about our cookies. */
static bool is_our_cookie(const char *p, const struct http1_field *f)
{
    const char *v = p + f->value;
    size_t len = f->value_len, ours = sizeof(OUR_COOKIES) - 1;
    while (len && (*v == ' ' || *v == '\t')) {
        v++;
        len--;
    }
    return len >= ours && http1_is(v, ours, OUR_COOKIES);
}

/* What the Space's card says of its answers goes in the place of what the demo says. */
static bool is_replaced(const struct route *r, const char *p, const struct http1_field *f)
{
    for (int i = 0; i < HEADER_COUNT; i++)
        if (r->headers[i] && http1_is(p + f->name, f->name_len, custom_header_names[i]))
            return true;
    return false;
}

static void put_own_fields(struct out *o, const struct loop *l, const struct route *r)
{
    for (int i = 0; i < HEADER_COUNT; i++) {
        const char *value = custom_header_text((enum custom_header)i, r->headers[i]);
        if (!value)
            continue;
        put(o, custom_header_names[i], strlen(custom_header_names[i]));
        PUT(o, ": ");
        put(o, value, strlen(value));
        PUT(o, "\r\n");
    }
    if (r->flags & ROUTE_NO_EMBEDDING) { /* beside a policy of the demo's own: both hold */
        PUT(o, "Content-Security-Policy: frame-ancestors 'self' ");
        put(o, l->site_origin, strlen(l->site_origin));
        PUT(o, "\r\n");
    }
}

/* No answer's head becomes longer than that. */
static size_t response_room(const struct http1_head *h)
{
    return (size_t)h->len + 2u * h->n_fields + 256 + OWN_FIELDS_MAX;
}

/* Writes the answer's head to `dst`, where there is response_room(h). Its length. */
static size_t write_response(struct client *c, const struct http1_head *h, const char *p, bool site,
                             char *dst)
{
    const struct route *route = site ? NULL : c->worker->route;
    struct out o = {dst};
    struct run run = {0};

    PUT(&o, "HTTP/1.1 ");
    put_u64(&o, h->status);
    PUT(&o, " ");
    put(&o, p + h->reason, h->reason_len);
    PUT(&o, "\r\n");
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (!response_field_passes(h, p, f, site) || (route && is_replaced(route, p, f)))
            continue;
        if (f->id == FIELD_SET_COOKIE && !site && is_our_cookie(p, f))
            continue;
        if (f->id == FIELD_SET_COOKIE && !site && cookie_names_domain(p, f)) {
            run_flush(&o, p, &run);
            put_cookie(&o, p, f);
        } else {
            run_add(&o, p, &run, f);
        }
    }
    run_flush(&o, p, &run);

    if (h->status == 101) {
        PUT(&o, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    } else if (h->status >= 200) {
        if (route)
            put_own_fields(&o, c->loop, route);
        if (c->https)
            put(&o, c->loop->hsts, strlen(c->loop->hsts));
        if (!h->has_date) {
            PUT(&o, "Date: ");
            put(&o, loop_date(c->loop), 29);
            PUT(&o, "\r\n");
        }
        if (c->down.chunk_out) {
            PUT(&o, "Transfer-Encoding: chunked\r\n");
        } else if (h->has_length && h->body == BODY_LENGTH && h->status != 204) {
            /* also the length that a HEAD or a 304 speaks of */
            PUT(&o, "Content-Length: ");
            put_u64(&o, h->content_length);
            PUT(&o, "\r\n");
        }
        if (!c->keep_alive)
            PUT(&o, "Connection: close\r\n");
    }
    PUT(&o, "\r\n");
    return (size_t)(o.p - dst);
}

int rewrite_response(struct client *c, const struct http1_head *h, const char *p, bool site,
                     struct gbuf **out)
{
    int r = gbuf_need(&c->loop->bufs, out, response_room(h));
    if (r == 0)
        (*out)->tail += (uint32_t)write_response(c, h, p, site, (*out)->data + (*out)->tail);
    return r;
}

int rewrite_response_in_front(struct client *c, const struct http1_head *h, bool site,
                              struct gbuf *in, struct gbuf **out)
{
    char *scratch = c->loop->scratch;
    int r;

    if (response_room(h) > sizeof(c->loop->scratch)) {
        r = rewrite_response(c, h, gbuf_at(in), site, out);
        if (r == 0)
            gbuf_consume(in, h->len);
        return r;
    }
    size_t n = write_response(c, h, gbuf_at(in), site, scratch), behind = in->head + h->len;
    if (n <= behind) {
        in->head = (uint32_t)(behind - n);
        memcpy(gbuf_at(in), scratch, n);
        return (int)n;
    }
    r = gbuf_need(&c->loop->bufs, out, n);
    if (r < 0)
        return r;
    memcpy((*out)->data + (*out)->tail, scratch, n);
    (*out)->tail += (uint32_t)n;
    gbuf_consume(in, h->len);
    return 0;
}

bool rewrite_trailer_ok(const char *name, size_t len)
{
    return http1_field_of(name, len) == FIELD_OTHER && !memchr(name, '_', len);
}
