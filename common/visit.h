/* A visit: the site's word that somebody may see a private Space, for a while. Signed (Ed25519) by
 * the site, checked by the gateway, which has the public half alone.
 *
 * As text "v1.SPACE.ENTER.END.SIGNATURE": the Space's id, two times in seconds since 1970, all in
 * decimal, and base64url of the signature over everything before its dot, with a mark before it. It
 * comes in by the address until ENTER (a minute: a copied link is worth nothing soon), and is good
 * as a cookie until END. */
#pragma once

#include "err.h"
#include "keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VISIT_TEXT 192 /* bytes of the text, the NUL included */
#define VISIT_COOKIE "__Host-vitrine-visit"
#define VISIT_ENTER_S 60
#define VISIT_S (4 * 3600)

int visit_make(const unsigned char key[KEYS_VISIT_KEY], uint64_t space_id, uint64_t now_s,
               char out[VISIT_TEXT], struct err *err);

enum visit_verdict { VISIT_BAD, VISIT_OVER /* it was good once */, VISIT_GOOD };
/* `entering`: it came by the address. *end_s is only set where it is good. */
enum visit_verdict visit_check(const unsigned char pub[KEYS_VISIT_PUB], uint64_t space_id,
                               const char *text, size_t len, uint64_t now_s, bool entering,
                               uint64_t *end_s);
