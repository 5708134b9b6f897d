/* TLS on a visitor's connection: what conn.c does where there is a `struct tls`, with the same
 * answers as without. OpenSSL works in memory; the socket's calls are ours (MSG_DONTWAIT, and
 * whether there is anything left to read is known without asking twice).
 *
 * Backpressure is that of a plain connection: a record that the socket did not take whole waits in
 * `wire`, nothing is encrypted meanwhile, and the bytes in it count as written only when all of it
 * has gone. */
#pragma once

#include "conn.h"

#include <openssl/ssl.h>

struct tls {
    SSL *ssl; /* NULL until bytes came */
    struct loop *loop;
    struct conn *conn;
    struct gbuf *wire; /* records, or a rest of one, that the socket did not take */
    uint32_t held;     /* bytes of conn->out and what follows it that are in `wire` */
    uint32_t ahead;    /* bytes that went before their caller was told: the next that it has */
    bool seen;         /* the first byte has come */
    bool plain_http;   /* ... and was that of an HTTP request */
    bool open;         /* the handshake is over */
    bool end;          /* the socket has ended */
    bool failed;       /* nothing can be read any more, for another reason than an end */
    bool h2;           /* ... and HTTP/2 was agreed on */
    bool bye;          /* close_notify is said */
};

/* 0 or -ENOMEM. */
int tls_begin(struct loop *l, struct conn *c);
/* conn_read and conn_write of such a connection. Besides, -EPROTOTYPE: a plain HTTP request came
 * (the connection is a plain one from now on, for an answer). An end without close_notify is
 * -ECONNRESET: whether the visitor has said all is not known. */
int tls_read(struct loop *l, struct conn *c);
int tls_write(struct loop *l, struct conn *c, const char *extra, size_t extra_len);
/* Whether the handshake still goes on. */
bool tls_opening(const struct conn *c);
/* A part of a record has come: its sender owes us the rest. */
bool tls_midway(const struct conn *c);
/* Says close_notify, where all that was to be written is (RFC 8446, 6.1). */
void tls_bye(struct conn *c);
/* Lets go of it; the socket stays. */
void tls_end(struct loop *l, struct conn *c);
