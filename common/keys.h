/* The server's own keys, in DATA/keys: one file each, lowercase hex and a newline, mode 0600.
 *
 *   box.key box.pub      Curve25519: secrets of Spaces are sealed to it (sealed.h). webui takes the
 *                        public half alone, so it can write secrets and not read them.
 *   visit.key visit.pub  Ed25519: the site signs visits of private Spaces, the gateway checks them.
 *
 * Whoever has box.key and site.db has all secrets; whoever loses box.key has lost them. */
#pragma once

#include "err.h"

#include <stddef.h>

#define KEYS_BOX 32       /* bytes of box.key and of box.pub each */
#define KEYS_VISIT_KEY 64 /* visit.key: seed and public half, as libsodium has it */
#define KEYS_VISIT_PUB 32

/* Makes what is missing, whoever comes first; a public half is made anew from its key. */
int keys_make(const char *data, struct err *err);

/* Reads DATA/keys/NAME of exactly `len` bytes. */
int keys_read(const char *data, const char *name, unsigned char *out, size_t len, struct err *err);
