#include "flow.h"

#include "rewrite.h"

#include <errno.h>
#include <string.h>

#define TURN_READS 16 /* reads of one flow before others have their turn */
/* what a chunk's size line, its CRLF and the last chunk need besides the data */
#define CHUNK_ROOM 32

static int put(struct loop *l, struct conn *dst, const char *p, size_t n)
{
    int r = gbuf_need(&l->bufs, &dst->out, n);
    if (r < 0)
        return r;
    memcpy(dst->out->data + dst->out->tail, p, n);
    dst->out->tail += (uint32_t)n;
    return 0;
}

static int put_chunk(struct loop *l, struct conn *dst, const char *p, size_t n)
{
    char line[20];
    size_t at = sizeof(line);
    int r = gbuf_need(&l->bufs, &dst->out, n + CHUNK_ROOM);
    if (r < 0)
        return r;
    line[--at] = '\n';
    line[--at] = '\r';
    for (size_t v = n; v; v >>= 4)
        line[--at] = "0123456789abcdef"[v & 15];
    char *out = dst->out->data + dst->out->tail;
    memcpy(out, line + at, sizeof(line) - at);
    out += sizeof(line) - at;
    memcpy(out, p, n);
    out += n;
    memcpy(out, "\r\n", 2);
    dst->out->tail = (uint32_t)(out + 2 - dst->out->data);
    return 0;
}

/* Bytes of content that may be put into dst->out now, as one chunk. */
static size_t chunk_room(const struct conn *dst)
{
    size_t used = gbuf_len(dst->out) + CHUNK_ROOM;
    return used < GBUF_LARGE ? GBUF_LARGE - used : 0;
}

/* Takes what is in src->in as far as dst->out has room. FLOW_DONE: the framing has ended.
 * FLOW_WAIT: more is to be read. FLOW_TURN: dst->out is to be written first. */
static enum flow_result take_chunks(struct loop *l, struct flow *f, struct conn *src,
                                    struct conn *dst)
{
    while (gbuf_len(src->in) || f->chunk.ended) {
        const char *p = src->in ? gbuf_at(src->in) : NULL, *data;
        size_t n = gbuf_len(src->in), used, len, name_len, room = chunk_room(dst);
        if (room < 1024 && n > room)
            return FLOW_TURN;
        /* data is cut to what there is room for by giving no more than that */
        enum chunk_event e =
            chunk_next(&f->chunk, p, n < room ? n : room, &used, &data, &len, &name_len);
        int r = 0;
        if (e == CHUNK_BAD)
            return FLOW_BAD;
        if (e == CHUNK_DATA) {
            r = f->chunk_out ? put_chunk(l, dst, data, len) : put(l, dst, data, len);
            f->bytes += len;
        } else if (e == CHUNK_TRAILER) {
            if (f->chunk_out && f->trailers_ok && rewrite_trailer_ok(data, name_len)) {
                if (!f->trailer_open)
                    r = put(l, dst, "0\r\n", 3);
                f->trailer_open = true;
                if (r == 0)
                    r = put(l, dst, data, len);
                if (r == 0)
                    r = put(l, dst, "\r\n", 2);
            }
        } else if (e == CHUNK_END) {
            if (f->chunk_out)
                r = f->trailer_open ? put(l, dst, "\r\n", 2) : put(l, dst, "0\r\n\r\n", 5);
            f->done = true;
        }
        if (r < 0)
            return FLOW_DST_GONE;
        if (used)
            gbuf_consume(src->in, used);
        if (f->done)
            return FLOW_DONE;
        if (e == CHUNK_MORE)
            return n > room && gbuf_len(dst->out) ? FLOW_TURN : FLOW_WAIT;
    }
    return FLOW_WAIT;
}

/* The source's end in a body that ends with it. */
static enum flow_result take_eof(struct loop *l, struct flow *f, struct conn *src, struct conn *dst)
{
    if (f->body != BODY_TO_EOF || src->broken)
        return FLOW_CUT;
    if (f->chunk_out && put(l, dst, "0\r\n\r\n", 5) < 0)
        return FLOW_DST_GONE;
    f->done = true;
    return FLOW_DONE;
}

enum flow_result flow_pump(struct loop *l, struct flow *f, struct conn *src, struct conn *dst)
{
    for (int reads = 0;; reads++) {
        size_t have = gbuf_len(src->in);
        enum flow_result took = FLOW_WAIT;
        if (!f->done && f->body == BODY_CHUNKED) {
            took = take_chunks(l, f, src, dst);
            if (took == FLOW_BAD) {
                conn_write(l, dst, NULL, 0); /* what was right before it */
                return FLOW_BAD;
            }
            if (took == FLOW_DST_GONE)
                return took;
        } else if (!f->done && f->chunk_out && have) { /* to the end, as chunks */
            size_t room = chunk_room(dst), n = have < room ? have : room;
            if (n && put_chunk(l, dst, gbuf_at(src->in), n) < 0)
                return FLOW_DST_GONE;
            if (n)
                gbuf_consume(src->in, n);
            f->bytes += n;
        }

        /* as it is: written straight from where it was read to */
        size_t raw = 0;
        if (!f->done && !f->chunk_out && f->body != BODY_CHUNKED) {
            raw = have;
            if (f->body == BODY_LENGTH && raw - f->ahead > f->left)
                raw = f->ahead + (size_t)f->left;
        }
        if (raw || gbuf_len(dst->out)) {
            int n = conn_write(l, dst, raw ? gbuf_at(src->in) : NULL, raw);
            if (n < 0)
                return FLOW_DST_GONE;
            if (n) {
                size_t of_head = (size_t)n < f->ahead ? (size_t)n : f->ahead;
                size_t of_body = (size_t)n - of_head;
                gbuf_consume(src->in, (size_t)n);
                f->ahead -= (uint32_t)of_head;
                f->bytes += of_body;
                if (f->body == BODY_LENGTH)
                    f->left -= of_body;
            }
        }
        if (f->body == BODY_NONE || (f->body == BODY_LENGTH && f->left == 0))
            f->done = true;
        if (f->done) {
            conn_trim(l, src);
            return gbuf_len(dst->out) ? FLOW_WAIT : FLOW_DONE;
        }
        if (gbuf_len(dst->out) || (raw && gbuf_len(src->in)))
            return FLOW_WAIT; /* the destination is full */
        if (f->body != BODY_CHUNKED && gbuf_len(src->in))
            continue;
        if (took == FLOW_TURN)
            continue; /* out was full and is written now */
        if (reads >= TURN_READS)
            return FLOW_TURN;

        int n = conn_read(l, src);
        if (n == -EAGAIN) {
            conn_trim(l, src);
            return FLOW_WAIT;
        }
        if (n == -ENOBUFS)
            return FLOW_BAD; /* a trailer line longer than a buffer */
        if (n == 0 || n < 0) {
            if (n < 0)
                src->broken = true;
            enum flow_result r = take_eof(l, f, src, dst);
            if (r != FLOW_DONE)
                return r;
        }
    }
}
