/* What a visitor's and a demo's connection have in common: a socket, two buffers, and what the
 * kernel last said about it. All calls on it are MSG_DONTWAIT: whoever holds a duplicate of a
 * socket out of a sandbox can clear O_NONBLOCK. */
#pragma once

#include "loop.h"

#include <limits.h>

struct tls;
struct h2_stream;

/* A stream of HTTP/2 has no socket; what looks like its descriptor is none (h2.h). */
enum conn_layer { CONN_PLAIN, CONN_TLS, CONN_STREAM };
#define CONN_NO_FD INT_MAX

struct conn {
    struct io io;         /* first */
    uint8_t layer;        /* enum conn_layer */
    bool secure;          /* what is read and written is encrypted on its way */
    struct tls *tls;      /* CONN_TLS */
    struct h2_stream *h2; /* CONN_STREAM; NULL once the stream is closed */
    struct gbuf *in, *out;
    bool readable; /* there may be bytes (or the end) to read */
    bool writable; /* there may be room */
    bool fin;      /* the peer has said that it sends no more (EPOLLRDHUP) */
    bool eof;      /* ... and all of it was read */
    bool broken;   /* reset, or an error: of no use any more */
    bool bulk;     /* reads fill their buffer: large ones are worth it */
    bool hostile;  /* came out of a sandbox */
    bool answers;  /* heads are read that can grow where they are: buffers have room in front */
};

/* Takes down what epoll said. */
void conn_note(struct conn *c, uint32_t events);

/* Reads once into c->in, at most until it holds GBUF_LARGE. > 0 bytes; 0 at the end (c->eof);
 * -EAGAIN (also when told so earlier); -ENOBUFS when c->in is full; another -errno (c->broken). */
int conn_read(struct loop *l, struct conn *c);

/* Writes c->out and behind it, in the same call, up to `extra_len` bytes of `extra`, until all is
 * gone or the socket is full. The bytes of `extra` that went, or -errno (c->broken); c->out may
 * still hold bytes: then none of extra went. An empty c->out is given back. */
int conn_write(struct loop *l, struct conn *c, const char *extra, size_t extra_len);

/* Room in front of an answer, for what nearly all heads grow by; one that grows by more goes out
 * from a buffer of its own. */
#define CONN_FRONT 256
/* So much is read at once into a buffer that has room for it: with the size lines of its chunks it
 * fits into another one, and goes out whole. A rest would be a tiny packet of its own. */
#define CONN_READ_MAX (GBUF_LARGE - 128)
static inline size_t conn_read_room(const struct conn *c)
{
    size_t room = gbuf_room(c->in);
    return room < CONN_READ_MAX ? room : CONN_READ_MAX;
}

/* Room in c->in for a read, as conn_read wants it: 0, -ENOBUFS, -ENOMEM. */
int conn_room(struct loop *l, struct conn *c);
/* Says that nothing more will be sent; reading goes on. 0 or -errno. */
int conn_half_close(struct conn *c);
/* Gives empty buffers back. */
void conn_trim(struct loop *l, struct conn *c);
/* Closes at once; `reset`: by RST (and without TLS's close_notify), so that nobody takes the end
 * for a clean one. */
void conn_close(struct loop *l, struct conn *c, bool reset);
