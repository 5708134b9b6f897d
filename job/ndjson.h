/* The body of a commit as Hugging Face's clients send it: lines of JSON, of which one may hold a
 * whole file as base64. Read in pieces of any size; a file's content goes to the caller as it comes
 * and is never in memory as a whole. */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { NDJSON_LINE_MAX = 64 * 1024 }; /* bytes of a line, without its content */

struct ndjson_calls {
    /* Bytes of a line's "value"/"content", decoded; `first` for the first call of each, which comes
     * for an empty content, too. */
    int (*content)(void *arg, bool first, const void *data, size_t len, struct err *err);
    /* The line: an object whose content, if it has one, is "". */
    int (*line)(void *arg, const json_t *object, bool has_content, unsigned number,
                struct err *err);
    void *arg;
};

struct ndjson;

struct ndjson *ndjson_new(const struct ndjson_calls *calls); /* NULL: out of memory */
void ndjson_free(struct ndjson *n);
/* -EINVAL with the line's number where it is not what it should be, or what a call returned. */
int ndjson_feed(struct ndjson *n, const char *data, size_t len, struct err *err);
int ndjson_end(struct ndjson *n, struct err *err);
