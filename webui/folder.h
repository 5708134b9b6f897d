/* The files of a folder that a browser sends one after the other become one tar in a nameless file,
 * which is then an archive like any other. Names are written as they came, less the chosen folder's
 * own name: whoever unpacks them checks them. */
#pragma once

#include "common/err.h"
#include "webui/app.h"

#include <stddef.h>
#include <stdint.h>

struct folder;

int folder_new(struct folder **ret, struct app *app, struct err *err);
void folder_free(struct folder *f); /* NULL is fine */

/* -EINVAL without a usable name, -EFBIG past upload.max_files or upload.max_archive, -ENOSPC. */
int folder_file_begin(struct folder *f, const char *path, struct err *err);
int folder_file_data(struct folder *f, const char *data, size_t len, struct err *err);
int folder_file_end(struct folder *f, struct err *err);

/* Ends the tar; its descriptor stays the folder's. */
int folder_finish(struct folder *f, struct err *err);
int folder_fd(const struct folder *f);
uint64_t folder_files(const struct folder *f);
