/* A body on its way into a nameless file (O_TMPFILE) below DATA/uploads: whoever leaves in the
 * middle leaves nothing. */
#pragma once

#include "common/err.h"
#include "webui/app.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct upload;

/* -EFBIG where `length` (0: not known) is above upload.max_archive; the message names the limit. */
int upload_new(struct upload **ret, struct app *app, uint64_t length, struct err *err);
/* The same for a body that is no archive, of up to what upload.max_unpacked is as base64. */
int upload_new_large(struct upload **ret, struct app *app, uint64_t length, struct err *err);
void upload_free(struct upload *u); /* NULL is fine */

/* -EFBIG past the limit, -ENOSPC on a full disk. */
int upload_write(struct upload *u, const void *data, size_t len, struct err *err);

int upload_fd(const struct upload *u); /* stays the upload's */
uint64_t upload_bytes(const struct upload *u);

/* A nameless file in DATA/uploads: the descriptor or a negative errno. */
int upload_tmpfile(struct app *app, struct err *err);
/* One with that JSON in it. */
int upload_json(struct app *app, const json_t *body, struct err *err);
int upload_too_large(const struct app *app, uint64_t bytes, struct err *err);
/* The sentence for an error of writing there. */
int upload_write_failed(int code, struct err *err);
