/* What `up` gives the gateway of TLS, in one sealed memfd: certificates with their keys, and the
 * keys of session tickets, which so outlive a gateway. */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <stdint.h>

#define TLS_PAIRS_MAX 64
#define TLS_TICKET_KEYS 2 /* the present one, and the one before it */
#define TLS_BUNDLE_MAX (4u << 20)

/* RFC 5077, 4: name, AES-256 key, HMAC-SHA256 key. */
struct tls_ticket_key {
    uint8_t name[16], aes[32], hmac[32];
};

struct tls_pem {
    const char *data;
    uint32_t len;
};

/* PEM: `chain` is the server's certificate and what is between it and the root. */
struct tls_pair {
    struct tls_pem chain, key;
};

struct tls_bundle {
    struct tls_ticket_key tickets[TLS_TICKET_KEYS];
    uint32_t n_pairs;
    struct tls_pair pairs[TLS_PAIRS_MAX];
};

/* A sealed memfd that is read from its start, or a negative errno. */
int tlsbundle_to_fd(const struct tls_bundle *b, struct err *err);
/* Reads it to its end; `b` points into `bytes`, which the caller wipes and frees (also after an
 * error). 0, -EPROTO, or what reading said. */
int tlsbundle_from_fd(struct tls_bundle *b, int fd, struct buf *bytes, struct err *err);
