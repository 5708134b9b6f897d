#include "proxy.h"

#include "account.h"
#include "crew.h"
#include "drain.h"
#include "flow.h"
#include "limits.h"
#include "reply.h"
#include "request.h"
#include "rewrite.h"
#include "runner.h"
#include "wake.h"
#include "worker.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define INTERIMS_MAX 16
#define RELAY_HALF_CLOSED_MS 10000

/* The site has a thread for each request, so that its handlers may wait: nobody may have them all.
 */
static bool enter_site(struct client *c)
{
    const struct conf *conf = c->loop->conf;
    return crew_total(c->loop, CREW_SITE) < conf->gateway_site_connections &&
           limits_enter_site(c->visitor ? c->visitor : c->address,
                             c->behind_proxy && !c->visitor ? UINT64_MAX
                                                            : conf->gateway_site_per_address);
}

void proxy_request(struct client *c, struct worker *w)
{
    if (w->site && !enter_site(c)) {
        reply_send(c, &(struct reply){.status = 503,
                                      .title = "Too many requests at the same time",
                                      .text = "Close some of the site's pages, or try again soon.",
                                      .retry_after_s = 5});
        return;
    }
    c->worker = w;
    w->refs++;
    if (w->site)
        crew_set(c->loop, CREW_SITE, w->refs);
    if (worker_connect(c, w, !c->retried))
        proxy_begin(c);
}

void proxy_begin(struct client *c)
{
    struct upstream *u = c->upstream;
    const struct http1_head *h = request_head(c);

    client_set_deadline(c, CLIENT_NEVER);
    c->state = CLIENT_PROXY;
    if (rewrite_request(c, h, gbuf_at(c->conn.in), &u->conn.out) < 0) {
        client_close(c, true);
        return;
    }
    c->held_since_ms = 0;
    c->worker->requests++;
    worker_touch(c->worker);
    if (!c->retryable) {
        /* the body follows: nothing of it is kept, so it cannot be sent twice */
        gbuf_consume(c->conn.in, c->head_len);
        c->head_kept = false;
        c->loop->head_of = NULL;
    }
}

void proxy_connect_failed(struct client *c, int error)
{
    struct worker *w = c->worker;
    (void)error;
    if (w->site) {
        client_release(c, false);
        reply_send(c, &(struct reply){.status = 503,
                                      .title = "One moment",
                                      .text = "The site is just starting.",
                                      .retry_after_s = 1});
        return;
    }
    /* the worker that we know is not there any more: the runner knows more */
    struct route *r = w->route;
    client_release(c, false);
    if (r) {
        wake_hold(c, r);
        worker_lost(w, "nobody listens on its port");
    } else {
        request_dispatch(c);
    }
}

/* A 502: the demo is to blame, its owner is told why, the visitor that it happened. */
static void bad_gateway(struct client *c, const char *why)
{
    struct worker *w = c->worker;

    if (!w->site)
        worker_note(w, why);
    w->status_5xx++;
    worker_touch(w);
    if (c->head_parsed || gbuf_len(c->conn.out)) {
        client_close(c, true);
        return;
    }
    client_release(c, false);
    reply_send(c, &(struct reply){
                      .status = 502,
                      .title = "The demo did not answer properly",
                      .text = "It ended the connection or sent something that is no HTTP answer.",
                      .close = !c->up.done,
                  });
}

/* The demo's connection ended before an answer began. */
static void no_answer(struct client *c)
{
    struct upstream *u = c->upstream;

    /* It was closed while it was idle, and the request had not been read; or the site has just
     * ended: another loop may hear of that before this one does. */
    bool ended = u->reused || c->worker->site;
    if (ended && !u->got_bytes && c->retryable && c->head_kept && !c->retried) {
        if (c->worker->site)
            worker_drop_fresh(c->worker); /* they end at the same process */
        c->retried = true;
        client_release(c, false);
        c->upload_over = false; /* that was the old connection */
        c->pace = PACE_NONE;
        c->interims = 0;
        request_dispatch(c);
        return;
    }
    bad_gateway(c, u->got_bytes ? "response head: the connection ended in the middle of it"
                                : "the connection ended before a response");
}

static void begin_relay(struct client *c)
{
    c->state = CLIENT_RELAY;
    c->pace = PACE_NONE;
    c->up = (struct flow){.body = BODY_TO_EOF, .bytes = c->up.bytes};
    c->down = (struct flow){.body = BODY_TO_EOF, .bytes = c->down.bytes};
    client_set_deadline(c, CLIENT_NEVER);
}

/* A 1xx: 1 and the head was passed on or dropped; 0: the connection is upgraded; -1: answered. */
static int interim(struct client *c, const struct http1_head *h)
{
    struct upstream *u = c->upstream;
    const char *p = gbuf_at(u->conn.in);

    if (h->status == 101) {
        if (!c->upgrade || !h->upgrade_websocket) {
            bad_gateway(c, "response head: 101 without a request for it");
            return -1;
        }
    } else if (++c->interims > INTERIMS_MAX) {
        bad_gateway(c, "response head: too many 1xx");
        return -1;
    }
    if (c->minor == 1 && rewrite_response(c, h, p, c->worker->site, &c->conn.out) < 0) {
        client_close(c, true);
        return -1;
    }
    gbuf_consume(u->conn.in, h->len);
    if (h->status == 101) {
        account_answer(c, 101);
        account_stream(c, ACCOUNT_WEBSOCKET);
    }
    if (h->status != 101) {
        if (conn_write(c->loop, &c->conn, NULL, 0) < 0) {
            client_close(c, false);
            return -1;
        }
        return 1;
    }
    begin_relay(c);
    return 0;
}

/* Content-Type: text/event-stream */
static bool is_event_stream(const struct http1_head *h, const char *p)
{
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (f->name_len == 12 && f->value_len >= 17 && http1_is(p + f->name, 12, "content-type"))
            return http1_is(p + f->value, 17, "text/event-stream");
    }
    return false;
}

/* May the answer's head be a part of the bytes that flow_pump passes on as they are? Not where a
 * 1xx waits before it, and a stream of HTTP/2 takes heads by themselves. */
static bool goes_with_body(const struct client *c)
{
    return c->down.body == BODY_LENGTH && !c->down.done && !c->conn.out &&
           c->conn.layer != CONN_STREAM;
}

static void final_head(struct client *c, const struct http1_head *h)
{
    struct upstream *u = c->upstream;
    bool bodiless = c->is_head || h->status == 204 || h->status == 304;

    c->down = (struct flow){
        .body = bodiless ? BODY_NONE : h->body, .left = h->content_length, .trailers_ok = true};
    c->down.done = c->down.body == BODY_NONE || (c->down.body == BODY_LENGTH && !c->down.left);
    c->down.chunk_out =
        c->minor == 1 && (c->down.body == BODY_CHUNKED || c->down.body == BODY_TO_EOF);
    c->demo_keeps = h->keep_alive && c->down.body != BODY_TO_EOF;
    if (c->minor == 0 && (c->down.body == BODY_CHUNKED || c->down.body == BODY_TO_EOF))
        c->keep_alive = false;
    if (!c->up.done || drain_closes(c)) /* what is left of the request would be in the way */
        c->keep_alive = false;
    if (h->status >= 500) {
        c->worker->status_5xx++;
        worker_touch(c->worker);
    }
    if (c->down.body >= BODY_CHUNKED && is_event_stream(h, gbuf_at(u->conn.in)))
        account_stream(c, ACCOUNT_EVENTS);
    int r;
    if (goes_with_body(c)) {
        r = rewrite_response_in_front(c, h, c->worker->site, u->conn.in, &c->conn.out);
    } else {
        r = rewrite_response(c, h, gbuf_at(u->conn.in), c->worker->site, &c->conn.out);
        if (r == 0)
            gbuf_consume(u->conn.in, h->len);
    }
    if (r < 0) {
        client_close(c, true);
        return;
    }
    c->down.ahead = (uint32_t)r;
    account_answer(c, h->status);
    c->head_parsed = true;
}

/* Reads and passes on heads until the final one. True: there it is. False: more is awaited, or the
 * client went on to something else. */
static bool answer_head(struct client *c)
{
    struct loop *l = c->loop;
    struct upstream *u = c->upstream;
    size_t seen = 0;

    for (;;) {
        size_t len = gbuf_len(u->conn.in);
        if (len > seen) {
            if (!u->got_bytes) {
                u->got_bytes = true;
                if (c->head_kept) {
                    gbuf_consume(c->conn.in, c->head_len);
                    c->head_kept = false;
                    conn_trim(l, &c->conn);
                }
            }
            seen = len;
            l->head_of = NULL;
            int r = http1_parse_response(&l->head, gbuf_at(u->conn.in), len);
            if (r < 0) {
                char why[128];
                snprintf(why, sizeof(why), "response head: %s", l->head.error);
                bad_gateway(c, why);
                return false;
            }
            if (r > 0 && l->head.status >= 200) {
                final_head(c, &l->head);
                return c->head_parsed;
            }
            if (r > 0) {
                if (interim(c, &l->head) <= 0)
                    return false;
                seen = 0;
                continue;
            }
        }
        int n = conn_read(l, &u->conn);
        if (n == -EAGAIN)
            return false;
        if (n <= 0) {
            no_answer(c);
            return false;
        }
    }
}

static void answered(struct client *c)
{
    struct upstream *u = c->upstream;
    bool reuse = c->demo_keeps && c->up.done && !c->upload_over && !u->conn.in && !u->conn.out &&
                 !u->conn.fin && !u->conn.broken;
    client_release(c, reuse);
    client_finish(c);
}

/* Bytes that the visitor has sent, or has taken: those that still wait in the kernel it has not. */
static int64_t moved(const struct client *c)
{
    int unsent = 0;

    if (c->pace == PACE_SEND)
        return (int64_t)c->up.bytes;
    if (ioctl(c->conn.io.fd, SIOCOUTQ, &unsent) < 0)
        unsent = 0;
    return (int64_t)c->down.bytes - c->down.ahead - (int64_t)gbuf_len(c->conn.out) - unsent;
}

/* Has so much moved in the time that was given that it may have as much again? */
static bool keeps_pace(const struct client *c)
{
    const struct conf *conf = c->loop->conf;
    uint64_t least = conf->gateway_body_min_rate * conf->gateway_body_idle_timeout / 1000;
    return moved(c) - c->pace_from >= (int64_t)(least ? least : 1);
}

static void begin_pace(struct client *c, enum client_pace pace)
{
    c->pace = pace;
    c->pace_from = moved(c);
    client_set_deadline(c, c->loop->conf->gateway_body_idle_timeout);
}

/* It is the visitor's turn. The time it has does not begin anew with each byte. */
static void expect(struct client *c, enum client_pace pace)
{
    if (c->pace != pace || (pace == PACE_SEND && keeps_pace(c)))
        begin_pace(c, pace);
}

static void expect_nothing(struct client *c, uint64_t deadline_ms)
{
    c->pace = PACE_NONE;
    client_set_deadline(c, deadline_ms);
}

/* How long the present silence may last. Only visitors are hurried: a demo may think as long as
 * somebody waits for it. */
static void set_patience(struct client *c)
{
    bool visitor_to_send = !c->up.done && !c->upload_over && c->upstream->conn.writable;
    bool visitor_to_take = c->conn.out || gbuf_len(c->upstream->conn.in);

    if (visitor_to_send && !c->head_parsed)
        expect(c, PACE_SEND);
    else if (visitor_to_take && !c->conn.writable)
        expect(c, PACE_TAKE);
    else
        expect_nothing(c, c->conn.fin ? CLIENT_HALF_CLOSED_MS : CLIENT_NEVER);
}

/* The request's side; false where the client went on to something else. */
static bool pump_up(struct client *c)
{
    struct upstream *u = c->upstream;

    if (c->upload_over || (c->up.done && !u->conn.out))
        return true;
    switch (flow_pump(c->loop, &c->up, &c->conn, &u->conn)) {
    case FLOW_TURN:
        client_again(c);
        return true;
    case FLOW_CUT: /* the visitor left in the middle of its body: the demo must not take it whole */
        client_close(c, true);
        return false;
    case FLOW_BAD:
        if (c->head_parsed || gbuf_len(c->conn.out)) {
            client_close(c, true);
            return false;
        }
        c->keep_alive = false;
        client_release(c, false);
        reply_send(c, &(struct reply){.status = 400,
                                      .title = "the chunks of the body are malformed",
                                      .close = true});
        return false;
    case FLOW_DST_GONE: /* perhaps it has answered before it went */
        c->upload_over = true;
        u->conn.readable = true;
        return true;
    case FLOW_WAIT:
    case FLOW_DONE:
        return true;
    }
    return true;
}

void proxy_step(struct client *c)
{
    struct upstream *u = c->upstream;

    if (c->conn.broken) {
        client_close(c, false);
        return;
    }
    if (!pump_up(c))
        return;
    if (!c->head_parsed && !answer_head(c)) {
        if (c->conn.io.fd >= 0 && c->state == CLIENT_PROXY && c->upstream)
            set_patience(c);
        return;
    }
    switch (flow_pump(c->loop, &c->down, &u->conn, &c->conn)) {
    case FLOW_DONE:
        answered(c);
        return;
    case FLOW_TURN:
        client_again(c);
        break;
    case FLOW_WAIT:
        set_patience(c);
        break;
    case FLOW_BAD:
        if (!c->worker->site)
            worker_note(c->worker, "response body: its chunks are malformed");
        /* fall through */
    case FLOW_CUT:
        /* Without the last chunk, or short of its length, the end is seen for what it is; where
         * only the end itself would tell, it must not look clean. */
        client_close(c, !c->down.chunk_out && c->down.body != BODY_LENGTH);
        return;
    case FLOW_DST_GONE:
        client_close(c, false);
        return;
    }
}

/* One way of an upgraded connection; false where it broke. */
static bool relay_way(struct client *c, struct flow *f, struct conn *src, struct conn *dst)
{
    bool was_done = f->done;
    switch (flow_pump(c->loop, f, src, dst)) {
    case FLOW_TURN:
        client_again(c);
        return true;
    case FLOW_DONE:
        if (!f->trailer_open) { /* once */
            f->trailer_open = true;
            conn_half_close(dst);
        }
        return true;
    case FLOW_WAIT:
        return was_done || !src->broken;
    default:
        return false;
    }
}

void relay_step(struct client *c)
{
    struct upstream *u = c->upstream;

    if (!relay_way(c, &c->up, &c->conn, &u->conn) || !relay_way(c, &c->down, &u->conn, &c->conn)) {
        client_close(c, true);
        return;
    }
    if (c->up.done && c->down.done && !c->conn.out && !u->conn.out)
        client_close(c, false);
    else if (!c->conn.writable && (c->conn.out || gbuf_len(u->conn.in)))
        expect(c, PACE_TAKE);
    else
        expect_nothing(c, c->up.done || c->down.done ? RELAY_HALF_CLOSED_MS : CLIENT_NEVER);
}

void proxy_timeout(struct client *c)
{
    if (c->state == CLIENT_DIAL) {
        struct worker *w = c->worker;
        client_unwait(c);
        if (!w->site)
            worker_note(w, "no connection to it could be made in time");
        client_release(c, false);
        reply_send(c, &(struct reply){.status = w->site ? 503 : 504,
                                      .title = "No connection to the demo",
                                      .text = "It could not be reached in time.",
                                      .retry_after_s = 2});
        return;
    }
    if (c->pace != PACE_NONE && keeps_pace(c)) {
        begin_pace(c, c->pace);
        return;
    }
    if (c->state == CLIENT_PROXY && !c->head_parsed && !c->conn.fin && !gbuf_len(c->conn.out)) {
        c->keep_alive = false;
        client_release(c, false);
        reply_send(c, &(struct reply){.status = 408,
                                      .title = "the request's body did not arrive in time",
                                      .close = true});
        return;
    }
    client_close(c, true);
}
