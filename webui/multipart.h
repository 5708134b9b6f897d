/* A strict streaming parser of multipart/form-data (RFC 7578). It keeps no more of a body than a
 * part's header (8 KiB) and one boundary. */
#pragma once

#include "common/err.h"

#include <stddef.h>

struct multipart;

/* Each returns 0, or a negative errno with `err` filled, which ends the parse with it. `filename`
 * is NULL for a plain field; neither it nor `name` is trusted or changed in any way but that the
 * browsers' escapes of a quote (%22 and \") are undone. */
struct multipart_events {
    int (*part_begin)(void *arg, const char *name, const char *filename, struct err *err);
    int (*part_data)(void *arg, const char *data, size_t len, struct err *err);
    int (*part_end)(void *arg, struct err *err);
};

/* `content_type` is the header's value. -EINVAL where it is not multipart/form-data with a
 * boundary. */
int multipart_new(struct multipart **ret, const char *content_type,
                  const struct multipart_events *events, void *arg, struct err *err);
void multipart_free(struct multipart *m); /* NULL is fine */

/* Takes the next bytes, however they are cut. */
int multipart_feed(struct multipart *m, const char *data, size_t len, struct err *err);
/* The body is there: -EINVAL where it ended too early. */
int multipart_end(struct multipart *m, struct err *err);
