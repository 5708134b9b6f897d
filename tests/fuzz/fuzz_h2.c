/* An HTTP/2 connection fed with any frames: whatever a visitor sends, what a stream's client reads
 * of it begins with one request that the strict parser takes whole or refuses, and nothing of it
 * comes from beside the stream. Answers are written meanwhile. objects: gateway/h2.o
 * gateway/h2scan.o gateway/h2stream.o gateway/gbuf.o gateway/chunk.o; libs: -lnghttp2 -lcrypto */
#include "gateway/client.h"
#include "gateway/h2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENTS 8
#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

static struct loop loop;
static struct conf conf;
static struct client carrier, streams[CLIENTS];
static unsigned n_streams;
static bool closed;
static const uint8_t *input;
static size_t left;

/* ---- what the gateway has around it ---- */

void client_again(struct client *c)
{
    (void)c;
}

void client_set_deadline(struct client *c, uint64_t ms)
{
    (void)c, (void)ms;
}

struct client *client_of_stream(struct client *of, struct h2_stream *s)
{
    (void)of;
    if (n_streams == CLIENTS)
        return NULL;
    struct client *c = &streams[n_streams++];
    *c = (struct client){.loop = &loop};
    c->conn.layer = CONN_STREAM;
    c->conn.h2 = s;
    c->conn.writable = true;
    return c;
}

void client_close(struct client *c, bool reset)
{
    if (c != &carrier) {
        conn_close(&loop, &c->conn, reset);
        return;
    }
    closed = true;
}

int conn_room(struct loop *l, struct conn *c)
{
    return gbuf_need(&l->bufs, &c->in, GBUF_SMALL);
}

int conn_read(struct loop *l, struct conn *c)
{
    size_t n = left < 700 ? left : 700;
    if (!n)
        return -EAGAIN;
    if (gbuf_need(&l->bufs, &c->in, n) < 0)
        return -ENOBUFS;
    memcpy(c->in->data + c->in->tail, input, n);
    c->in->tail += (uint32_t)n;
    input += n;
    left -= n;
    return (int)n;
}

int conn_write(struct loop *l, struct conn *c, const char *extra, size_t len)
{
    (void)extra, (void)len;
    gbuf_give(&l->bufs, &c->out);
    return 0;
}

void conn_trim(struct loop *l, struct conn *c)
{
    if (c->in && gbuf_len(c->in) == 0)
        gbuf_give(&l->bufs, &c->in);
}

void conn_close(struct loop *l, struct conn *c, bool reset)
{
    h2_close(l, c, reset);
    gbuf_give(&l->bufs, &c->in);
    gbuf_give(&l->bufs, &c->out);
}

/* ---- a stream's client ---- */

static void answer(struct client *c)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
                               "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n";
    if (gbuf_need(&loop.bufs, &c->conn.out, sizeof(text)) < 0)
        return;
    memcpy(c->conn.out->data + c->conn.out->tail, text, sizeof(text) - 1);
    c->conn.out->tail += sizeof(text) - 1;
    h2_write(&loop, &c->conn, NULL, 0);
}

static void step_stream(struct client *c)
{
    struct http1_head h;
    if (c->state == CLIENT_LINGER || c->conn.io.fd < 0)
        return;
    while (gbuf_len(c->conn.in) < GBUF_LARGE / 2 && h2_read(&loop, &c->conn) > 0)
        ;
    if (c->state == CLIENT_READ && gbuf_len(c->conn.in)) {
        int r = http1_parse_request(&h, gbuf_at(c->conn.in), gbuf_len(c->conn.in));
        CHECK(r != 0); /* a head is given whole */
        c->state = CLIENT_PROXY;
        if (r > 0) {
            CHECK(h.host_len && h.minor == 1 && !h.absolute);
            gbuf_consume(c->conn.in, (size_t)r);
            CHECK(h.body != BODY_NONE || h.upgrade_websocket || gbuf_len(c->conn.in) == 0);
        } else {
            gbuf_consume(c->conn.in, gbuf_len(c->conn.in));
        }
        answer(c);
    }
    if (c->conn.in)
        gbuf_consume(c->conn.in, gbuf_len(c->conn.in));
    if (c->conn.eof || c->conn.broken) {
        c->state = CLIENT_LINGER;
        conn_close(&loop, &c->conn, c->conn.broken);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    conf.gateway_header_timeout = conf.gateway_idle_timeout = conf.gateway_body_idle_timeout = 1000;
    loop.conf = &conf;
    loop.now_ms = 1000;
    carrier = (struct client){.loop = &loop};
    n_streams = 0;
    closed = false;
    h2_begin(&carrier);
    if (!carrier.h2)
        return 0;
    for (int part = 0; part < 2 && !closed; part++) {
        input = part ? data : (const uint8_t *)preface;
        left = part ? size : sizeof(preface) - 1;
        while (left && !closed) {
            size_t before = left;
            h2_step(&carrier);
            for (unsigned i = 0; i < n_streams; i++)
                step_stream(&streams[i]);
            if (left == before)
                break;
        }
    }
    for (unsigned i = 0; i < n_streams; i++)
        if (streams[i].conn.io.fd >= 0)
            conn_close(&loop, &streams[i].conn, i % 2);
    if (!closed)
        h2_step(&carrier);
    h2_end(&carrier);
    gbuf_give(&loop.bufs, &carrier.conn.in);
    gbuf_give(&loop.bufs, &carrier.conn.out);
    gbuf_pool_free(&loop.bufs);
    return 0;
}
