/* What `up` keeps for the gateway's HTTPS: the certificates, read again when their files change,
 * and the keys of session tickets, made anew now and then. */
#pragma once

#include "common/conf.h"
#include "common/err.h"
#include "common/proto.h"

struct tlskeep;

/* NULL in *ret where no HTTPS is configured. Where a certificate is not there yet, one that signs
 * itself stands in until it is, so that an ACME client can get the first one through us; one that
 * is wrong is an error. `conf` must outlive it. */
int tlskeep_open(struct tlskeep **ret, const struct conf *conf, struct err *err);
void tlskeep_close(struct tlskeep *k); /* NULL is fine */

/* A memfd for PROTO_SUP_TLS, or a negative errno. */
int tlskeep_fd(const struct tlskeep *k, struct err *err);
/* Looks at files and clock where it is time to, and says in *next_ms (mono_ms) when it will be
 * again. True: there is something new for the gateway. */
bool tlskeep_look(struct tlskeep *k, uint64_t now, uint64_t *next_ms);
/* Has the next look read everything. */
void tlskeep_reload(struct tlskeep *k);

/* The answer to a challenge, from [tls] challenges. */
void tlskeep_challenge(const struct conf *conf, const struct proto_sup_challenge_ask *ask,
                       struct proto_sup_challenge *answer);
