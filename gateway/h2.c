#include "h2.h"

#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TURN_READS 16
#define GATHER 8192 /* frames are sent together up to so much */
#define COUNT_MS 10000
#define RESETS_MAX 200     /* streams in COUNT_MS that the visitor did not want, after all */
#define POINTLESS_MAX 1000 /* frames in COUNT_MS that ask for nothing */

void h2_wake(struct h2 *h)
{
    client_again(h->carrier);
}

static void count(struct h2 *h, uint32_t *what, uint32_t most)
{
    uint64_t now = h->carrier->loop->now_ms;
    if (now - h->count_ms > COUNT_MS) {
        h->count_ms = now;
        h->resets = h->pointless = 0;
    }
    if (++*what > most)
        h->calm = true;
}

static void free_stream(struct loop *l, struct h2_stream *s)
{
    list_remove(&s->in);
    h2_queue_drop(&l->bufs, &s->body);
    h2_queue_drop(&l->bufs, &s->out);
    gbuf_give(&l->bufs, &s->text);
    buf_free(&s->trailers);
    buf_free(&s->out_trailers);
    free(s);
}

/* ---- what nghttp2 tells; clients go on in their turn, never from here ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h = arg;
    struct loop *l = h->carrier->loop;

    h2_head_clear(&h->head);
    h->opening_ms = l->now_ms;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct h2_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    s->h2 = h;
    s->id = frame->hd.stream_id;
    s->trailers = s->out_trailers = BUF_INIT(HTTP1_HEAD_MAX / 2);
    list_push_back(&h->streams, &s->in);
    h->n_streams++;
    nghttp2_session_set_stream_user_data(session, s->id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
    struct h2 *h = arg;
    (void)session, (void)frame, (void)flags;
    h2_head_add(&h->head, (const char *)name, name_len, (const char *)value, len);
    return 0;
}

/* Whatever begins now, a header block is over. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
    struct h2 *h = arg;
    (void)session;
    if (hd->type != NGHTTP2_CONTINUATION)
        h->opening_ms = 0;
    return 0;
}

/* nghttp2 refuses it by itself, a stream that was never opened as well. */
static int on_invalid(nghttp2_session *session, const nghttp2_frame *frame, int error, void *arg)
{
    struct h2 *h = arg;
    (void)error;
    if (!nghttp2_session_find_stream(session, frame->hd.stream_id))
        h2_scan_ended(&h->scan, frame->hd.stream_id, true);
    return 0;
}

static void answer_alone(struct h2 *h, struct h2_stream *s, const char *status)
{
    nghttp2_nv nv = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t)status, 7, 3,
                     NGHTTP2_NV_FLAG_NONE};
    s->end = true;
    nghttp2_submit_response(h->session, s->id, &nv, 1, NULL);
}

static void begin_request(struct h2 *h, struct h2_stream *s, bool ended)
{
    struct loop *l = h->carrier->loop;
    s->end_seen = ended;
    s->chunked = !ended && !h->head.length && !h->head.websocket;
    s->text = h2_head_text(&l->bufs, &h->head, !ended);
    if (!s->text && (h->head.large || h2_head_strange(&h->head))) {
        answer_alone(h, s, h->head.large ? "431" : "501");
        return;
    }
    if (!s->text) { /* malformed (RFC 9113, 8.1.1) */
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    s->client = client_of_stream(h->carrier, s);
    if (!s->client) {
        gbuf_give(&l->bufs, &s->text);
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_REFUSED_STREAM);
        return;
    }
    h->served = true;
    client_again(s->client);
}

static void end_request(struct h2 *h, struct h2_stream *s, const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_HEADERS && s->chunked && !h->head.bad && !h->head.large &&
        h->head.lines.len)
        buf_append(&s->trailers, h->head.lines.data, h->head.lines.len);
    s->end_seen = true;
    if (s->client)
        client_again(s->client);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h = arg;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        h->opening_ms = 0;
        if (s && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            begin_request(h, s, ended);
        else if (s && ended)
            end_request(h, s, frame);
        break;
    case NGHTTP2_DATA:
        if (s && ended)
            end_request(h, s, frame);
        else if (frame->hd.length == 0)
            count(h, &h->pointless, POINTLESS_MAX);
        break;
    case NGHTTP2_RST_STREAM:
        if (s)
            s->reset_seen = true;
        break;
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING:
    case NGHTTP2_PRIORITY:
        count(h, &h->pointless, POINTLESS_MAX);
        break;
    default:
        break;
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *arg)
{
    struct h2 *h = arg;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)flags;
    if (!s || !s->client) {
        nghttp2_session_consume(session, id, len);
        return 0;
    }
    if (h2_queue_add(&h->carrier->loop->bufs, &s->body, (const char *)data, len) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    client_again(s->client);
    return 0;
}

/* The answer is out while the visitor still sends: it may stop (RFC 9113, 8.1). */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    const struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)arg;
    if (s && !s->end_seen && frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
        (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS))
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    struct h2 *h = arg;
    struct loop *l = h->carrier->loop;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s)
        return 0;
    h2_scan_ended(&h->scan, id, !s->end_seen && !s->reset_seen);
    if (error != NGHTTP2_NO_ERROR && error != NGHTTP2_REFUSED_STREAM)
        count(h, &h->resets, RESETS_MAX);
    if (s->client) {
        struct conn *c = &s->client->conn;
        c->h2 = NULL;
        c->broken = c->broken || error != NGHTTP2_NO_ERROR || !s->end;
        c->fin = true;
        client_again(s->client);
    }
    nghttp2_session_consume_connection(session, s->body.len);
    free_stream(l, s);
    if (--h->n_streams == 0) {
        h->idle_ms = l->now_ms;
        h2_head_free(&h->head);
    }
    return 0;
}

/* ---- the carrier ---- */

static int new_session(struct h2 *h)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP1_HEAD_MAX},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    nghttp2_session_callbacks *calls = NULL;
    nghttp2_option *option = NULL;
    int r = nghttp2_session_callbacks_new(&calls);
    if (r == 0)
        r = nghttp2_option_new(&option);
    if (r == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
        nghttp2_session_callbacks_set_on_begin_frame_callback(calls, on_begin_frame);
        nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls, on_invalid);
        nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
        nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_sent);
        nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        r = nghttp2_session_server_new2(&h->session, calls, h, option);
    }
    nghttp2_session_callbacks_del(calls);
    nghttp2_option_del(option);
    if (r == 0)
        r = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                    sizeof(settings) / sizeof(*settings));
    if (r == 0)
        r = nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, H2_WINDOWS);
    return r;
}

void h2_begin(struct client *c)
{
    struct h2 *h = calloc(1, sizeof(*h));
    if (!h) {
        client_close(c, true);
        return;
    }
    h->carrier = c;
    h->idle_ms = c->loop->now_ms;
    list_init(&h->streams);
    h2_scan_begin(&h->scan);
    c->h2 = h;
    if (new_session(h) != 0) {
        client_close(c, true);
        return;
    }
    c->state = CLIENT_H2;
}

void h2_end(struct client *c)
{
    struct h2 *h = c->h2;
    c->h2 = NULL;
    while (!list_empty(&h->streams)) {
        struct h2_stream *s = container_of(h->streams.next, struct h2_stream, in);
        struct client *of = s->client;
        free_stream(c->loop, s);
        if (of) {
            of->conn.h2 = NULL;
            of->conn.broken = true;
            client_close(of, true);
        }
    }
    h2_head_free(&h->head);
    nghttp2_session_del(h->session);
    free(h);
}

void h2_stop(struct client *c)
{
    struct h2 *h = c->h2;
    if (h->stopping)
        return;
    h->stopping = true;
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
    h2_wake(h);
}

void h2_notice(struct client *c)
{
    if (nghttp2_submit_shutdown_notice(c->h2->session) == 0)
        h2_wake(c->h2);
}

/* False where the connection was closed. */
static bool feed(struct client *c)
{
    struct h2 *h = c->h2;
    size_t len;

    if (!gbuf_len(c->conn.in))
        return true;
    while ((len = gbuf_len(c->conn.in)) > 0) {
        uint32_t error = NGHTTP2_NO_ERROR;
        const char *p = gbuf_at(c->conn.in);
        size_t n = h2_scan(&h->scan, h->session, p, len, &error);
        if (error) {
            nghttp2_session_terminate_session(h->session, error);
            h->ended = true;
            n = len;
        } else if (nghttp2_session_mem_recv(h->session, (const uint8_t *)p, n) != (ssize_t)n) {
            client_close(c, true);
            return false;
        }
        gbuf_consume(c->conn.in, n);
    }
    conn_trim(c->loop, &c->conn);
    return true;
}

/* Frames into c->conn.out, up to GATHER; false where the connection was closed. */
static bool gather(struct client *c)
{
    while (gbuf_len(c->conn.out) < GATHER) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(c->h2->session, &data);
        if (n == 0)
            return true;
        if (n < 0 || gbuf_need(&c->loop->bufs, &c->conn.out, (size_t)n) < 0) {
            client_close(c, true);
            return false;
        }
        memcpy(c->conn.out->data + c->conn.out->tail, data, (size_t)n);
        c->conn.out->tail += (uint32_t)n;
    }
    return true;
}

static bool flush(struct client *c)
{
    for (;;) {
        if (!gather(c))
            return false;
        size_t before = gbuf_len(c->conn.out);
        if (!before) {
            c->h2->stuck_ms = 0;
            return true;
        }
        if (conn_write(c->loop, &c->conn, NULL, 0) < 0) {
            client_close(c, false);
            return false;
        }
        size_t after = gbuf_len(c->conn.out);
        if (after) {
            if (after < before || !c->h2->stuck_ms)
                c->h2->stuck_ms = c->loop->now_ms;
            return true;
        }
    }
}

static uint64_t until(uint64_t from_ms, uint64_t time_ms, uint64_t now_ms)
{
    return from_ms + time_ms > now_ms ? from_ms + time_ms - now_ms : 0;
}

static void set_deadline(struct client *c)
{
    const struct h2 *h = c->h2;
    const struct conf *conf = c->loop->conf;
    uint64_t now = c->loop->now_ms, ms = CLIENT_NEVER;

    if (h->n_streams == 0)
        ms = until(h->idle_ms,
                   h->served ? conf->gateway_idle_timeout : conf->gateway_header_timeout, now);
    if (h->opening_ms)
        ms = until(h->opening_ms, conf->gateway_header_timeout, now);
    if (h->stuck_ms) {
        uint64_t stuck = until(h->stuck_ms, conf->gateway_body_idle_timeout, now);
        ms = stuck < ms ? stuck : ms;
    }
    client_set_deadline(c, ms);
}

void h2_step(struct client *c)
{
    struct h2 *h = c->h2;
    int reads = 0;

    if (!feed(c))
        return;
    for (; reads < TURN_READS && !h->calm && !h->ended; reads++) {
        int n = conn_read(c->loop, &c->conn);
        if (n == -EAGAIN)
            break;
        if (n <= 0) {
            client_close(c, false);
            return;
        }
        if (!feed(c))
            return;
    }
    if (reads == TURN_READS)
        client_again(c);
    if (h->calm)
        nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
    if (!flush(c))
        return;
    bool over = h->calm || h->ended || (h->stopping && h->n_streams == 0) ||
                (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session));
    if (over && !gbuf_len(c->conn.out)) {
        client_close(c, false);
        return;
    }
    if (h->calm || h->ended) {
        client_close(c, true);
        return;
    }
    set_deadline(c);
}

void h2_timeout(struct client *c)
{
    struct h2 *h = c->h2;
    if (h->n_streams || h->stuck_ms || h->opening_ms) {
        client_close(c, true);
        return;
    }
    h2_stop(c);
    if (flush(c))
        client_close(c, false);
}
