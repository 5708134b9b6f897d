/* HTTP/2 (RFC 9113) on a visitor's connection, by nghttp2.
 *
 * Each stream is a client of its own whose connection is a made one: what conn_read gives of it is
 * its request in the form of HTTP/1.1 (h2stream.c), so that it passes the same strict parser, the
 * same limits and the same rewriting as any other; what conn_write takes is the answer in that
 * form. The client that was accepted stays as the carrier, in CLIENT_H2.
 *
 * Backpressure: a stream's window is what may wait here of its body, and is opened again as the
 * demo takes it; of an answer no more than H2_OUT_MAX waits for the visitor's window. A visitor who
 * opens streams only to reset them, or sends frames that ask for nothing but answers, is asked to
 * be calm and closed (CVE-2023-44487 and its kin). */
#pragma once

#include "chunk.h"
#include "conn.h"

#include "common/buf.h"

#include <nghttp2/nghttp2.h>

#define H2_STREAMS_MAX 100
#define H2_WINDOW (256 * 1024)   /* of a stream's request body */
#define H2_WINDOWS (1024 * 1024) /* of all streams' together */
#define H2_OUT_MAX (64 * 1024)   /* of a stream's answer */

struct client;

/* Buffers one behind the other. */
struct h2_queue {
    struct gbuf *first, *last;
    size_t len;
};

/* The header block that comes just now: there is one at a time on a connection. */
struct h2_head {
    struct buf method, path, authority, host, cookie, lines;
    bool scheme, websocket, length, bad, large;
    bool strange; /* a :protocol that is none of ours */
};

/* Where one frame ends and the next begins, and the streams that ended last (h2scan.c). */
#define H2_ENDED_MAX 16
struct h2_scan {
    uint32_t skip; /* bytes to the next frame's head */
    uint8_t head[9], have;
    uint32_t newest;              /* the highest stream that was opened */
    uint32_t ended[H2_ENDED_MAX]; /* number << 1 | it was us */
    uint32_t n_ended;
    uint32_t forgotten; /* the highest that we ended and that is not among them any more */
};

struct h2 {
    struct client *carrier;
    nghttp2_session *session;
    struct link streams;
    uint32_t n_streams;
    struct h2_head head;
    struct h2_scan scan;
    uint64_t opening_ms; /* since when a header block is under way; 0: none is */
    uint64_t idle_ms;    /* since when there is no stream */
    uint64_t stuck_ms;   /* since when the visitor takes nothing of what is to be written; 0 */
    uint64_t count_ms;   /* since when these are counted */
    uint32_t resets, pointless;
    bool calm, ended, stopping, served; /* ended: it was an error of the visitor's */
};

struct h2_stream {
    struct h2 *h2;
    struct link in; /* h2->streams */
    int32_t id;
    struct client *client; /* NULL: it has let go (or was never made) */

    struct gbuf *text; /* what is left of the request's head */
    struct h2_queue body;
    struct buf trailers;
    bool chunked, end_seen, end_told;
    bool reset_seen; /* by the visitor */

    uint8_t answer;  /* enum h2_answer */
    uint8_t framing; /* enum http1_body */
    uint64_t left;
    struct chunk chunk;
    struct h2_queue out;
    struct buf out_trailers;
    bool end;      /* all of the answer is in `out` or gone */
    bool deferred; /* nghttp2 waits for more of it */
    bool full;     /* its client waits for room in it */
};
enum h2_answer { H2_HEAD, H2_BODY };

/* ---- the carrier ---- */

/* Makes it one; the connection is closed where that fails. */
void h2_begin(struct client *c);
void h2_step(struct client *c);
void h2_timeout(struct client *c);
/* No new streams; closed when the last one has ended. */
void h2_stop(struct client *c);
/* Says that this is about to come (RFC 9113 6.8): streams that are on their way are still taken. */
void h2_notice(struct client *c);
/* The connection is going: so do its streams. */
void h2_end(struct client *c);
/* There is something to write, or room to read again. */
void h2_wake(struct h2 *h);

/* ---- of h2scan.c ---- */

void h2_scan_begin(struct h2_scan *s);
/* A stream has ended; `ours`: before the visitor ended it. */
void h2_scan_ended(struct h2_scan *s, int32_t id, bool ours);
/* Bytes of `p` that nghttp2 is to take before this is asked again, with what is left; 0: *error is
 * the connection's. */
size_t h2_scan(struct h2_scan *s, nghttp2_session *session, const char *p, size_t len,
               uint32_t *error);

/* ---- of h2stream.c ---- */

/* The made connection: see conn.h. */
int h2_read(struct loop *l, struct conn *c);
int h2_write(struct loop *l, struct conn *c, const char *extra, size_t extra_len);
void h2_half_close(struct conn *c);
void h2_close(struct loop *l, struct conn *c, bool reset);

void h2_head_clear(struct h2_head *h);
void h2_head_free(struct h2_head *h);
void h2_head_add(struct h2_head *h, const char *name, size_t name_len, const char *value,
                 size_t value_len);
/* Well formed, but nothing that a gateway does: CONNECT, or another protocol than WebSocket. */
bool h2_head_strange(const struct h2_head *h);
/* The head as text of HTTP/1.1; NULL where it is not one that could be written so. `body`: DATA
 * will follow. */
struct gbuf *h2_head_text(struct gbuf_pool *pool, struct h2_head *h, bool body);

int h2_queue_add(struct gbuf_pool *pool, struct h2_queue *q, const char *p, size_t n);
size_t h2_queue_take(struct gbuf_pool *pool, struct h2_queue *q, char *out, size_t n);
void h2_queue_drop(struct gbuf_pool *pool, struct h2_queue *q);
/* nghttp2's source of an answer's body. */
ssize_t h2_source(nghttp2_session *session, int32_t id, uint8_t *out, size_t len, uint32_t *flags,
                  nghttp2_data_source *source, void *arg);
