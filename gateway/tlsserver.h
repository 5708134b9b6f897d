/* What the TLS connections of a loop share: certificates by name, keys of session tickets.
 *
 * Each certificate has a context of its own; a connection begins with the first one's and is moved
 * by the name that the visitor asks for (SNI, RFC 6066, 3). What is replaced lives on as long as a
 * connection uses it. */
#pragma once

#include "common/err.h"
#include "common/tlsbundle.h"

#include <openssl/ssl.h>

struct conf;
struct tls_certificate; /* a context, and the names it is for */

struct tls_server {
    const struct conf *conf;
    BIO_METHOD *bio;
    EVP_CIPHER *ticket_cipher;            /* looked up once */
    struct tls_certificate *certificates; /* NULL: none has come yet */
    uint32_t n_certificates;
    struct tls_ticket_key tickets[TLS_TICKET_KEYS];
};

/* Before the process confines itself: OpenSSL looks around when it starts. */
int tlsserver_new(struct tls_server **ret, const struct conf *conf, struct err *err);
void tlsserver_free(struct tls_server *s);
/* Takes what `up` sent (tlsbundle.h). After an error the earlier ones stay. */
int tlsserver_take(struct tls_server *s, int fd, struct err *err);
/* A connection's; NULL without certificates or memory. */
SSL *tlsserver_ssl(struct tls_server *s);

/* Of tls.c: the socket as OpenSSL sees it. */
BIO_METHOD *tls_bio_method(void);
