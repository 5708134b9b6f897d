/* The front matter of a README: the YAML between two lines of "---" at its top, as JSON, with the
 * line that each key stands in. */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { FRONT_MAX = 32 * 1024 }; /* bytes of YAML */

/* Where the parts of a README are; both point into its text. */
struct front_split {
    bool found;
    const char *yaml;
    size_t yaml_len;
    unsigned yaml_line; /* the first line of the YAML, counted from 1 */
    const char *body;
    size_t body_len;
};

/* -EINVAL, with file and line, where the front matter begins and does not end or is longer than
 * FRONT_MAX. No front matter at all is fine: `found` is false, everything is body. */
int front_split(const char *text, size_t len, struct front_split *ret, struct err *err);

/* A key of the front matter's top level. */
struct front_key {
    char *name;
    char *raw;  /* a scalar's text as it was written, without quotes; NULL for lists and maps */
    bool plain; /* a scalar without quotes: `null` is nothing, "null" is a word */
    unsigned line;
    unsigned *item_lines; /* of a list: the line of each item */
    size_t n_items;
};

struct front {
    json_t *object; /* owned; the whole front matter */
    struct front_key *keys;
    size_t count;
};

void front_free(struct front *front);

/* Reads the YAML into `ret`. Scalars follow YAML 1.2 (true, false, null, numbers, else text).
 * -EINVAL with "README.md:LINE: reason": not YAML, no map, a key twice, an alias, too deep.
 * `ret` is freed with front_free whether or not it worked. */
int front_parse(const char *yaml, size_t len, unsigned first_line, struct front *ret,
                struct err *err);

const struct front_key *front_key(const struct front *front, const char *name);
