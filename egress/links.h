/* Links of an index that needs a login: where its pages name the index itself as https://HOST, the
 * build is to come back through the same door, http://HOST. Works on a stream: what may be the
 * beginning of such a name is kept back until more has come. */
#pragma once

#include "common/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define LINKS_MAX 300 /* of one name */

struct links {
    char from[4][LINKS_MAX]; /* lower case; longer ones first */
    char to[LINKS_MAX];
    unsigned n;
    char kept[LINKS_MAX];
    size_t n_kept;
};

/* SCHEME://HOST[:PORT] becomes http://HOST[:DOOR]. */
void links_init(struct links *l, bool secure, const char *host, uint16_t port, uint16_t door);
/* Appends to `out` what these bytes become; `end`: nothing follows. 0 or buf_append's error. */
int links_feed(struct links *l, const char *data, size_t len, bool end, struct buf *out);
