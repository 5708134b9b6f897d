/* The LFS objects that the objects of a repository refer to. */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>

struct lfs_pointer;

/* Every blob that is there and is a pointer. `each` returns 0, or a negative errno to end it. */
int lfs_refs_each(int (*each)(void *arg, const char *blob, const struct lfs_pointer *p), void *arg,
                  struct err *err);

struct lfs_refs {
    struct buf oids; /* of 65 bytes each, in order */
};

/* Of every blob that is there, whether a commit leads to it or not: a push that comes meanwhile may
 * make one of those its own. git_environment() was called. */
int lfs_refs_read(struct lfs_refs *ret, struct err *err);
bool lfs_refs_has(const struct lfs_refs *refs, const char *oid);
void lfs_refs_free(struct lfs_refs *refs);
