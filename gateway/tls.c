#include "tls.h"

#include "tlsserver.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RECORD 16384 /* RFC 8446, 5.1 */

int tls_begin(struct loop *l, struct conn *c)
{
    struct tls *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->loop = l;
    t->conn = c;
    c->tls = t;
    c->layer = CONN_TLS;
    c->secure = true;
    return 0;
}

void tls_end(struct loop *l, struct conn *c)
{
    struct tls *t = c->tls;
    if (!t)
        return;
    c->tls = NULL;
    c->layer = CONN_PLAIN;
    c->secure = false;
    if (t->ssl)
        SSL_free(t->ssl);
    gbuf_give(&l->bufs, &t->wire);
    free(t);
}

/* ---- the socket, as OpenSSL sees it ---- */

static int wire_read(BIO *b, char *out, int len)
{
    struct tls *t = BIO_get_data(b);
    struct conn *c = t->conn;

    BIO_clear_retry_flags(b);
    if (!c->readable || len <= 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    ssize_t n = recv(c->io.fd, out, (size_t)len, MSG_DONTWAIT);
    if (n > 0) {
        if (n < len && !c->fin) /* as in conn_read */
            c->readable = false;
        if (!t->seen) {
            t->seen = true;
            t->plain_http = out[0] >= 'A' && out[0] <= 'Z';
        }
        return (int)n;
    }
    if (n == 0) {
        t->end = true;
        return 0;
    }
    if (errno == EAGAIN || errno == EINTR) {
        c->readable = false;
        BIO_set_retry_read(b);
        return -1;
    }
    c->broken = true;
    return -1;
}

/* Takes all of it, whatever the socket takes: nothing is ever to be encrypted again. */
static int wire_write(BIO *b, const char *data, int len)
{
    struct tls *t = BIO_get_data(b);
    struct conn *c = t->conn;
    ssize_t n = 0;

    BIO_clear_retry_flags(b);
    if (!t->wire && c->writable) {
        n = send(c->io.fd, data, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            c->broken = true;
            return -1;
        }
        n = n < 0 ? 0 : n;
        if (n < len)
            c->writable = false;
    }
    if (n == len)
        return len;
    /* a record of ours has room; who has so much answered without reading it does not */
    if (gbuf_need(&t->loop->bufs, &t->wire, (size_t)(len - n)) < 0) {
        c->broken = true;
        return -1;
    }
    memcpy(t->wire->data + t->wire->tail, data + n, (size_t)(len - n));
    t->wire->tail += (uint32_t)(len - n);
    return len;
}

static long wire_ctrl(BIO *b, int cmd, long num, void *p)
{
    (void)b, (void)num, (void)p;
    return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

static int wire_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "visitor");
    if (m && BIO_meth_set_read(m, wire_read) && BIO_meth_set_write(m, wire_write) &&
        BIO_meth_set_ctrl(m, wire_ctrl) && BIO_meth_set_create(m, wire_create))
        return m;
    BIO_meth_free(m);
    return NULL;
}

/* 0, or -errno where the connection broke; t->wire is there where the socket is full. */
static int flush_wire(struct tls *t)
{
    struct conn *c = t->conn;

    while (t->wire && c->writable) {
        size_t len = gbuf_len(t->wire);
        ssize_t n = send(c->io.fd, gbuf_at(t->wire), len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN) {
                c->writable = false;
                return 0;
            }
            c->broken = true;
            return -errno;
        }
        if ((size_t)n < len)
            c->writable = false;
        gbuf_consume(t->wire, (size_t)n);
        if (gbuf_len(t->wire) == 0)
            gbuf_give(&t->loop->bufs, &t->wire);
    }
    return 0;
}

/* ---- the connection ---- */

static int start(struct tls *t)
{
    SSL *ssl = tlsserver_ssl(t->loop->tls);
    BIO *b = ssl ? BIO_new(t->loop->tls->bio) : NULL;
    if (!b) {
        SSL_free(ssl);
        return -ENOMEM;
    }
    BIO_set_data(b, t);
    SSL_set_bio(ssl, b, b);
    SSL_set_app_data(ssl, t);
    SSL_set_accept_state(ssl);
    t->ssl = ssl;
    return 0;
}

bool tls_opening(const struct conn *c)
{
    return c->tls && !c->tls->open;
}

bool tls_midway(const struct conn *c)
{
    const struct tls *t = c->tls;
    return t && t->ssl && SSL_has_pending(t->ssl);
}

/* What is behind a read that brought nothing. */
static int why_not(struct tls *t, int r)
{
    struct conn *c = t->conn;
    int e = SSL_get_error(t->ssl, r);

    if (e == SSL_ERROR_WANT_READ && !t->end)
        return -EAGAIN;
    if (e == SSL_ERROR_ZERO_RETURN) {
        c->eof = true;
        return 0;
    }
    if (t->plain_http && !t->open) {
        struct loop *l = t->loop;
        tls_end(l, c);
        return -EPROTOTYPE;
    }
    t->failed = true;
    c->broken = true;
    c->eof = true;
    return -ECONNRESET;
}

static void opened(struct tls *t)
{
    const unsigned char *name;
    unsigned len = 0;
    if (t->open)
        return;
    t->open = true;
    SSL_get0_alpn_selected(t->ssl, &name, &len);
    t->h2 = len == 2 && memcmp(name, "h2", 2) == 0;
}

int tls_read(struct loop *l, struct conn *c)
{
    struct tls *t = c->tls;

    if (c->eof)
        return 0;
    if (t->wire && flush_wire(t) < 0)
        return -ECONNRESET;
    if (t->failed || (t->ssl && SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN)) {
        c->eof = true;
        c->broken = c->broken || t->failed;
        return t->failed ? -ECONNRESET : 0;
    }
    if (!c->readable && !(t->ssl && SSL_has_pending(t->ssl)))
        return -EAGAIN;
    if (!t->ssl && start(t) < 0) {
        c->broken = c->eof = true;
        return -ENOMEM;
    }
    int r = conn_room(l, c);
    if (r < 0)
        return r;

    size_t room = conn_read_room(c), got = 0;
    int bad = 0;
    while (got < room) {
        size_t n = 0;
        ERR_clear_error();
        r = SSL_read_ex(t->ssl, c->in->data + c->in->tail, room - got, &n);
        if (r != 1) {
            bad = why_not(t, r);
            break;
        }
        opened(t);
        c->in->tail += (uint32_t)n;
        got += n;
        if (!c->readable && !SSL_has_pending(t->ssl))
            break;
    }
    if (!c->tls) { /* it is a plain one by now */
        gbuf_give(&l->bufs, &c->in);
        return bad;
    }
    if (SSL_is_init_finished(t->ssl))
        opened(t);
    if (got) { /* the end is told when these bytes are taken */
        if (t->failed)
            c->broken = false;
        c->eof = false;
        c->bulk = got == room || (c->bulk && got >= GBUF_SMALL);
        return (int)got;
    }
    if (gbuf_len(c->in) == 0)
        gbuf_give(&l->bufs, &c->in);
    return bad;
}

/* So much of what conn_write was given has gone. */
static size_t settle(struct conn *c, size_t n, size_t done, size_t extra_len)
{
    struct tls *t = c->tls;
    size_t head = gbuf_len(c->out), of_head = n < head ? n : head, rest = n - of_head;
    if (of_head)
        gbuf_consume(c->out, of_head);
    size_t of_extra = rest < extra_len - done ? rest : extra_len - done;
    t->ahead += (uint32_t)(rest - of_extra);
    return done + of_extra;
}

/* One record's bytes: an answer's head and the beginning of its body are sent together. */
static size_t gather(struct loop *l, const struct conn *c, const char *extra, size_t len,
                     const char **ret)
{
    size_t head = gbuf_len(c->out), rest;

    if (!head || !len) {
        *ret = head ? gbuf_at(c->out) : extra;
        rest = head ? head : len;
        return rest < RECORD ? rest : RECORD;
    }
    if (head >= RECORD) {
        *ret = gbuf_at(c->out);
        return RECORD;
    }
    rest = len < RECORD - head ? len : RECORD - head;
    memcpy(l->scratch, gbuf_at(c->out), head);
    memcpy(l->scratch + head, extra, rest);
    *ret = l->scratch;
    return head + rest;
}

int tls_write(struct loop *l, struct conn *c, const char *extra, size_t extra_len)
{
    struct tls *t = c->tls;
    size_t done = t->ahead < extra_len ? t->ahead : extra_len;

    _Static_assert(sizeof(l->scratch) >= RECORD, "a record is put together there");
    t->ahead -= (uint32_t)done;
    if (c->broken || !t->ssl)
        return -EPIPE;
    if (t->wire && flush_wire(t) < 0)
        return -EPIPE;
    if (!t->wire && t->held) {
        done = settle(c, t->held, done, extra_len);
        t->held = 0;
    }
    while (!t->wire && c->writable && gbuf_len(c->out) + (extra_len - done) > 0) {
        const char *p;
        size_t n = gather(l, c, extra + done, extra_len - done, &p), w = 0;
        ERR_clear_error();
        if (SSL_write_ex(t->ssl, p, n, &w) != 1) {
            c->broken = true;
            return -EPIPE;
        }
        if (t->wire) {
            t->held = (uint32_t)w;
            break;
        }
        done = settle(c, w, done, extra_len);
    }
    if (c->out && gbuf_len(c->out) == 0)
        gbuf_give(&l->bufs, &c->out);
    return (int)done;
}

void tls_bye(struct conn *c)
{
    struct tls *t = c->tls;
    if (t->bye || !t->open || t->wire || c->broken || gbuf_len(c->out))
        return;
    t->bye = true;
    ERR_clear_error();
    SSL_shutdown(t->ssl);
}
