/* The made connection of a stream: requests to text, answers from text. */
#include "h2.h"

#include "client.h"
#include "common/http1.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define HEAD_TEXT_MAX (24 * 1024) /* more than the parser takes: it is to say so */
#define TRAILERS_MAX (8 * 1024)
#define LINE_ROOM 32 /* a chunk's size and line ends */

/* ---- queues ---- */

int h2_queue_add(struct gbuf_pool *pool, struct h2_queue *q, const char *p, size_t n)
{
    while (n) {
        if (!q->last || !gbuf_room(q->last)) {
            struct gbuf *b = gbuf_take(pool, n < GBUF_SMALL ? n : GBUF_LARGE);
            if (!b)
                return -ENOMEM;
            if (q->last)
                q->last->next = b;
            else
                q->first = b;
            q->last = b;
        }
        size_t room = gbuf_room(q->last), some = n < room ? n : room;
        memcpy(q->last->data + q->last->tail, p, some);
        q->last->tail += (uint32_t)some;
        q->len += some;
        p += some;
        n -= some;
    }
    return 0;
}

static void pop(struct gbuf_pool *pool, struct h2_queue *q)
{
    struct gbuf *b = q->first;
    q->first = b->next;
    if (!q->first)
        q->last = NULL;
    b->next = NULL;
    gbuf_give(pool, &b);
}

size_t h2_queue_take(struct gbuf_pool *pool, struct h2_queue *q, char *out, size_t n)
{
    size_t done = 0;
    while (done < n && q->first) {
        size_t len = gbuf_len(q->first), some = len < n - done ? len : n - done;
        memcpy(out + done, gbuf_at(q->first), some);
        done += some;
        if (some == len)
            pop(pool, q);
        else
            gbuf_consume(q->first, some);
    }
    q->len -= done;
    return done;
}

void h2_queue_drop(struct gbuf_pool *pool, struct h2_queue *q)
{
    while (q->first)
        pop(pool, q);
    q->len = 0;
}

/* ---- a request's head ---- */

void h2_head_clear(struct h2_head *h)
{
    struct buf *all[] = {&h->method, &h->path, &h->authority, &h->host, &h->cookie, &h->lines};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        buf_clear(all[i]);
        all[i]->max = HEAD_TEXT_MAX;
    }
    h->scheme = h->websocket = h->length = h->bad = h->large = h->strange = false;
}

void h2_head_free(struct h2_head *h)
{
    struct buf *all[] = {&h->method, &h->path, &h->authority, &h->host, &h->cookie, &h->lines};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        buf_free(all[i]);
}

static bool named(const char *p, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(p, name, len) == 0;
}

static void add(struct h2_head *h, struct buf *b, const char *p, size_t len)
{
    if (h->large || buf_append(b, p, len) < 0)
        h->large = true;
}

/* Once each, before all other fields (RFC 9113, 8.3; nghttp2 looks after that, too). */
static void add_pseudo(struct h2_head *h, const char *name, size_t name_len, const char *v,
                       size_t len)
{
    struct buf *b = named(name, name_len, ":method")      ? &h->method
                    : named(name, name_len, ":path")      ? &h->path
                    : named(name, name_len, ":authority") ? &h->authority
                                                          : NULL;
    if (b) {
        h->bad = h->bad || b->len || len == 0;
        add(h, b, v, len);
    } else if (named(name, name_len, ":scheme")) {
        h->bad = h->bad || h->scheme || !(named(v, len, "https") || named(v, len, "http"));
        h->scheme = true;
    } else if (named(name, name_len, ":protocol")) {
        h->bad = h->bad || h->websocket;
        h->strange = !named(v, len, "websocket");
        h->websocket = true;
    } else {
        h->bad = true;
    }
}

void h2_head_add(struct h2_head *h, const char *name, size_t name_len, const char *v, size_t len)
{
    if (h->bad || h->large)
        return;
    /* What could end a line must not get into one. */
    bool pseudo = name_len && name[0] == ':';
    if (!http1_value_ok(v, len) || (!pseudo && !http1_is_token(name, name_len))) {
        h->bad = true;
        return;
    }
    if (pseudo) {
        add_pseudo(h, name, name_len, v, len);
        return;
    }
    enum http1_field_id id = http1_field_of(name, name_len);
    if (id == FIELD_HOST) {
        h->bad = h->host.len || len == 0;
        add(h, &h->host, v, len);
    } else if (id == FIELD_COOKIE) { /* may come in pieces: RFC 9113, 8.2.3 */
        if (h->cookie.len)
            add(h, &h->cookie, "; ", 2);
        add(h, &h->cookie, v, len);
    } else if (id == FIELD_CONNECTION || id == FIELD_TRANSFER_ENCODING || id == FIELD_UPGRADE) {
        h->bad = true; /* RFC 9113, 8.2.2 */
    } else if (named(name, name_len, "te")) {
        h->bad = !named(v, len, "trailers");
    } else if (h->websocket && named(name, name_len, "sec-websocket-key")) {
        /* it has no meaning here (RFC 8441, 5): the demo gets one of ours */
    } else {
        h->length = h->length || id == FIELD_CONTENT_LENGTH;
        add(h, &h->lines, name, name_len);
        add(h, &h->lines, ": ", 2);
        add(h, &h->lines, v, len);
        add(h, &h->lines, "\r\n", 2);
    }
}

static void put_websocket(struct buf *b)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char random[22] = {0};
    char key[25] = "======================";
    RAND_bytes(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++)
        key[i] = digits[random[i] % 64];
    key[21] = digits[random[21] % 4 * 16]; /* 16 bytes are 128 bits of 132 */
    buf_printf(b, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: %s==\r\n", key);
}

bool h2_head_strange(const struct h2_head *h)
{
    bool connect = named(h->method.data ? h->method.data : "", h->method.len, "CONNECT");
    return !h->bad && connect && (h->websocket ? h->strange : !h->path.len && !h->scheme);
}

struct gbuf *h2_head_text(struct gbuf_pool *pool, struct h2_head *h, bool body)
{
    _cleanup_buf_ struct buf b = BUF_INIT(HEAD_TEXT_MAX + 8 * 1024);
    const struct buf *host = h->authority.len ? &h->authority : &h->host;
    bool connect = named(h->method.data ? h->method.data : "", h->method.len, "CONNECT");

    if (h->bad || h->large || h->strange || !h->method.len || !h->path.len || !h->scheme ||
        !host->len || connect != h->websocket ||
        (h->path.data[0] != '/' && !named(h->path.data, h->path.len, "*")))
        return NULL;
    if (h->authority.len && h->host.len &&
        (h->host.len != h->authority.len ||
         memcmp(h->host.data, h->authority.data, h->host.len) != 0))
        return NULL;
    /* in a request line a blank would be one too many */
    if (!http1_is_token(h->method.data, h->method.len) || memchr(h->path.data, ' ', h->path.len) ||
        memchr(h->path.data, '\t', h->path.len))
        return NULL;
    buf_printf(&b, "%s ", connect ? "GET" : h->method.data);
    buf_append(&b, h->path.data, h->path.len);
    buf_puts(&b, " HTTP/1.1\r\nHost: ");
    buf_append(&b, host->data, host->len);
    buf_puts(&b, "\r\n");
    if (h->websocket)
        put_websocket(&b);
    else if (body && !h->length)
        buf_puts(&b, "Transfer-Encoding: chunked\r\n");
    if (h->cookie.len) {
        buf_puts(&b, "Cookie: ");
        buf_append(&b, h->cookie.data, h->cookie.len);
        buf_puts(&b, "\r\n");
    }
    if (h->lines.len)
        buf_append(&b, h->lines.data, h->lines.len);
    if (buf_puts(&b, "\r\n") < 0 || b.len > GBUF_LARGE)
        return NULL;
    struct gbuf *text = gbuf_take(pool, b.len);
    if (text) {
        memcpy(text->data, b.data, b.len);
        text->tail = (uint32_t)b.len;
    }
    return text;
}

/* ---- reading: the request ---- */

/* The body, framed as the head has said; bytes of it that went. */
static size_t give_body(struct loop *l, struct h2_stream *s, struct gbuf *in)
{
    size_t taken = 0;
    if (!s->chunked) {
        taken = h2_queue_take(&l->bufs, &s->body, in->data + in->tail, gbuf_room(in));
        in->tail += (uint32_t)taken;
        return taken;
    }
    while (s->body.len && gbuf_room(in) > LINE_ROOM) {
        size_t room = gbuf_room(in) - LINE_ROOM, n = s->body.len < room ? s->body.len : room;
        in->tail += (uint32_t)snprintf(in->data + in->tail, LINE_ROOM, "%zx\r\n", n);
        in->tail += (uint32_t)h2_queue_take(&l->bufs, &s->body, in->data + in->tail, n);
        memcpy(in->data + in->tail, "\r\n", 2);
        in->tail += 2;
        taken += n;
    }
    return taken;
}

static void give_end(struct h2_stream *s, struct gbuf *in)
{
    size_t len = s->trailers.len;
    if (s->end_told || !s->end_seen || s->body.len || gbuf_room(in) < 5)
        return;
    if (len && gbuf_room(in) < len + 5) {
        if (gbuf_len(in))
            return; /* next time, there is more room */
        len = 0;
    }
    memcpy(in->data + in->tail, "0\r\n", 3);
    in->tail += 3;
    if (len)
        memcpy(in->data + in->tail, s->trailers.data, len);
    in->tail += (uint32_t)len;
    memcpy(in->data + in->tail, "\r\n", 2);
    in->tail += 2;
    s->end_told = true;
}

int h2_read(struct loop *l, struct conn *c)
{
    struct h2_stream *s = c->h2;

    if (c->eof)
        return 0;
    if (!s) {
        c->eof = true;
        return c->broken ? -ECONNRESET : 0;
    }
    bool end_due = s->chunked && s->end_seen && !s->end_told;
    if (!s->text && !s->body.len && !end_due) {
        c->eof = s->end_seen;
        return c->eof ? 0 : -EAGAIN;
    }
    int r = conn_room(l, c);
    if (r == 0 && gbuf_room(c->in) <= LINE_ROOM)
        r = gbuf_need(&l->bufs, &c->in, 2 * LINE_ROOM);
    if (r < 0)
        return r;
    struct gbuf *in = c->in;
    size_t before = in->tail;
    if (s->text) {
        size_t len = gbuf_len(s->text), n = len < gbuf_room(in) ? len : gbuf_room(in);
        memcpy(in->data + in->tail, gbuf_at(s->text), n);
        in->tail += (uint32_t)n;
        gbuf_consume(s->text, n);
        if (n == len)
            gbuf_give(&l->bufs, &s->text);
    }
    if (!s->text) {
        size_t taken = give_body(l, s, in);
        if (taken) {
            nghttp2_session_consume(s->h2->session, s->id, taken);
            h2_wake(s->h2);
        }
        if (s->chunked)
            give_end(s, in);
    }
    size_t got = in->tail - before;
    c->bulk = got >= GBUF_SMALL;
    return got ? (int)got : -EAGAIN;
}

/* ---- writing: the answer ---- */

ssize_t h2_source(nghttp2_session *session, int32_t id, uint8_t *out, size_t len, uint32_t *flags,
                  nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = source->ptr;
    struct loop *l = s->h2->carrier->loop;
    size_t n = h2_queue_take(&l->bufs, &s->out, (char *)out, len);
    (void)arg;

    if (n && s->full && s->client) {
        s->full = false;
        s->client->conn.writable = true;
        client_again(s->client);
    }
    if (s->out.len == 0 && s->end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        nghttp2_nv nv[32];
        size_t count = 0;
        /* "name: value" lines, which rewrite.c let through */
        for (char *p = s->out_trailers.data; p && count < 32 && *p; count++) {
            char *colon = strchr(p, ':'), *end = strstr(p, "\r\n");
            if (!colon || !end || colon > end)
                break;
            char *value = colon + 1 + strspn(colon + 1, " \t");
            for (char *q = p; q < colon; q++)
                *q = *q >= 'A' && *q <= 'Z' ? (char)(*q | 0x20) : *q;
            nv[count] = (nghttp2_nv){(uint8_t *)p, (uint8_t *)value, (size_t)(colon - p),
                                     value < end ? (size_t)(end - value) : 0, NGHTTP2_NV_FLAG_NONE};
            p = end + 2;
        }
        if (count && nghttp2_submit_trailer(session, id, nv, count) == 0)
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        return (ssize_t)n;
    }
    if (n == 0) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}

static void go_on(struct h2_stream *s)
{
    if (s->deferred) {
        s->deferred = false;
        nghttp2_session_resume_data(s->h2->session, s->id);
    }
    h2_wake(s->h2);
}

static bool passes(const struct http1_field *f, const char *p, bool upgraded)
{
    switch (f->id) {
    case FIELD_CONNECTION:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
    case FIELD_HOP:
        return false;
    case FIELD_CONTENT_LENGTH:
        return !upgraded;
    default:
        return !upgraded || !http1_is(p + f->name, f->name_len, "sec-websocket-accept");
    }
}

/* 0, or negative. */
static int submit_head(struct loop *l, struct h2_stream *s, const struct http1_head *h,
                       const char *p)
{
    nghttp2_nv nv[HTTP1_FIELDS_MAX + 1];
    char status[8], *name = l->scratch;
    bool upgraded = h->status == 101;
    size_t n = 0;

    snprintf(status, sizeof(status), "%u", upgraded ? 200U : h->status % 1000U);
    nv[n++] = (nghttp2_nv){(uint8_t *)(uintptr_t) ":status", (uint8_t *)status, 7, 3,
                           NGHTTP2_NV_FLAG_NONE};
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (!passes(f, p, upgraded))
            continue;
        for (size_t k = 0; k < f->name_len; k++) {
            char ch = p[f->name + k];
            name[k] = ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
        }
        nv[n++] = (nghttp2_nv){(uint8_t *)name, (uint8_t *)(uintptr_t)(p + f->value), f->name_len,
                               f->value_len, NGHTTP2_NV_FLAG_NONE};
        name += f->name_len;
    }
    if (h->status < 200 && !upgraded)
        return nghttp2_submit_headers(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NULL, nv, n, NULL);

    bool bodiless = s->client->is_head || h->status == 204 || h->status == 304;
    s->answer = H2_BODY;
    s->framing = upgraded ? BODY_TO_EOF : bodiless ? BODY_NONE : h->body;
    s->left = h->content_length;
    s->end = s->framing == BODY_NONE || (s->framing == BODY_LENGTH && !s->left);
    nghttp2_data_provider source = {.source.ptr = s, .read_callback = h2_source};
    return nghttp2_submit_response(s->h2->session, s->id, nv, n, s->end ? NULL : &source);
}

/* Bytes of `p` that were taken; 0: there is no room. -errno */
static ssize_t take_body(struct loop *l, struct h2_stream *s, const char *p, size_t n)
{
    size_t room = s->out.len < H2_OUT_MAX ? H2_OUT_MAX - s->out.len : 0, used, len, name_len;
    const char *data;

    if (s->end)
        return (ssize_t)n; /* nothing comes behind it */
    if (room < 1024)
        return 0;
    n = n < room ? n : room;
    if (s->framing != BODY_CHUNKED) {
        if (s->framing == BODY_LENGTH && n > s->left)
            n = (size_t)s->left;
        if (s->framing == BODY_LENGTH)
            s->left -= n;
        s->end = s->framing == BODY_LENGTH && !s->left;
        return h2_queue_add(&l->bufs, &s->out, p, n) < 0 ? -ENOMEM : (ssize_t)n;
    }
    switch (chunk_next(&s->chunk, p, n, &used, &data, &len, &name_len)) {
    case CHUNK_BAD:
        return -EPROTO;
    case CHUNK_DATA:
        return h2_queue_add(&l->bufs, &s->out, data, len) < 0 ? -ENOMEM : (ssize_t)used;
    case CHUNK_TRAILER:
        s->out_trailers.max = TRAILERS_MAX;
        if (buf_append(&s->out_trailers, data, len) == 0)
            buf_puts(&s->out_trailers, "\r\n");
        return (ssize_t)used;
    case CHUNK_END:
        s->end = true;
        return (ssize_t)used;
    case CHUNK_MORE:
        return (ssize_t)used;
    }
    return 0;
}

int h2_write(struct loop *l, struct conn *c, const char *extra, size_t extra_len)
{
    struct h2_stream *s = c->h2;
    size_t done = 0;
    bool moved = false;

    if (!s || c->broken) {
        c->broken = true;
        return -EPIPE;
    }
    while (gbuf_len(c->out) + (extra_len - done) > 0) {
        size_t head = gbuf_len(c->out);
        const char *p = head ? gbuf_at(c->out) : extra + done;
        ssize_t n;
        if (s->answer == H2_HEAD) {
            n = head ? http1_parse_response(&l->h2_head, p, head) : -EPROTO;
            if (n <= 0 || submit_head(l, s, &l->h2_head, p) != 0)
                n = -EPROTO;
        } else {
            n = take_body(l, s, p, head ? head : extra_len - done);
        }
        if (n < 0) {
            c->broken = true;
            return -EPIPE;
        }
        if (n == 0) {
            s->full = true;
            c->writable = false;
            break;
        }
        moved = true;
        if (head)
            gbuf_consume(c->out, (size_t)n);
        else
            done += (size_t)n;
    }
    if (c->out && gbuf_len(c->out) == 0)
        gbuf_give(&l->bufs, &c->out);
    if (moved || s->full)
        go_on(s);
    return (int)done;
}

/* Of an answer that only its end ends. */
static void end_answer(struct h2_stream *s)
{
    if (s->end || s->answer != H2_BODY || s->framing != BODY_TO_EOF)
        return;
    s->end = true;
    go_on(s);
}

void h2_half_close(struct conn *c)
{
    if (c->h2)
        end_answer(c->h2);
}

/* What is whole is sent to its end; what is not is seen to be cut. */
void h2_close(struct loop *l, struct conn *c, bool reset)
{
    struct h2_stream *s = c->h2;

    c->io.fd = -1;
    c->h2 = NULL;
    if (!s)
        return;
    s->client = NULL;
    if (!reset)
        end_answer(s);
    if (!s->end)
        nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
    nghttp2_session_consume_connection(s->h2->session, s->body.len);
    h2_queue_drop(&l->bufs, &s->body);
    gbuf_give(&l->bufs, &s->text);
    h2_wake(s->h2);
}
