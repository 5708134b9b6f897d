/* What a resolution led to, as the lines of a lock: "name==version --hash=sha256:..." each, or what
 * an installer says about packages that come from somewhere else. */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>

enum { LOCKFILE_MAX = 4 << 20, LOCKFILE_REPORT_MAX = 64 << 20 };

/* From the file that `uv pip compile --generate-hashes` wrote: continued lines are joined. */
int lockfile_of_uv(const char *path, struct buf *lock, struct err *err);
/* From a pylock.toml (job/pylock.h). 1, or 0 where the lines of a lock do not say all of it. */
int lockfile_of_pylock(const char *path, struct buf *lock, struct err *err);
/* From pip's installation report (pip.pypa.io, "Installation Report", version 1). `*ret_wheels`:
 * everything in it is a wheel. */
int lockfile_of_pip(const char *path, struct buf *lock, bool *ret_wheels, struct err *err);
