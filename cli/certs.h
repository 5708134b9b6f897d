/* The certificates of `[tls] certificates`: read, checked, and put together for the gateway, which
 * opens no path. What is wrong is said with the file's name and the remedy. */
#pragma once

#include "common/conf.h"
#include "common/err.h"
#include "common/tlsbundle.h"

#include <time.h>

struct certs;

/* The list alone; nothing is read. -EINVAL where it is wrong. */
int certs_open(struct certs **ret, const struct conf *conf, struct err *err);
void certs_close(struct certs *c); /* NULL is fine */
static inline void certs_cleanup(struct certs **c)
{
    certs_close(*c);
}
#define _cleanup_certs_ __attribute__((cleanup(certs_cleanup)))

/* Reads all files. PEM, certificates that follow from one another, a key that fits and has no
 * passphrase, names. After an error what was read before stays. -ENOENT: a file is not there. */
int certs_read(struct certs *c, struct err *err);
/* Whether a file is another one than at the last certs_read (links are followed). */
bool certs_changed(const struct certs *c);
/* In the place of what cannot be had yet: one that signs itself, for the site and its Spaces. */
int certs_sign_oneself(struct certs *c, struct err *err);
bool certs_none_named(const struct certs *c);

/* What is not wrong and yet to be told: ends that are near or past, hosts that no name is for, a
 * key that others can read. */
void certs_warn(const struct certs *c, void (*say)(void *arg, const char *text), void *arg);
/* "example.org, *.example.org until 2027-02-01; ..." */
void certs_describe(const struct certs *c, char *out, size_t len);

/* For the gateway: see tlsbundle_to_fd. */
int certs_to_fd(const struct certs *c, const struct tls_ticket_key tickets[TLS_TICKET_KEYS],
                struct err *err);
