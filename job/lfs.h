/* Git LFS: pointer files, and the objects that they stand for, which lie in the repository's
 * lfs/objects/ab/cd/SHA256. Format: git-lfs docs/spec.md. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LFS_POINTER_MAX = 1024 }; /* the specification: smaller than that */

struct lfs_pointer {
    char oid[65]; /* SHA-256 */
    uint64_t size;
};

/* Whether these bytes are a pointer. */
bool lfs_parse(const char *text, size_t len, struct lfs_pointer *ret);
/* Writes the canonical pointer; its length. */
size_t lfs_format(const struct lfs_pointer *p, char out[LFS_POINTER_MAX]);

bool lfs_is_oid(const char *oid);
/* Opens the object, which must be a file: -ENOENT where it is not stored. *ret_size may be NULL. */
int lfs_open(const char *repo, const char *oid, uint64_t *ret_size, struct err *err);
/* Stores what `fd` holds (from its beginning) under `oid`, whose hash and size it must have. It is
 * whole on the disk afterwards. */
int lfs_store(const char *repo, const struct lfs_pointer *p, int fd, struct err *err);
