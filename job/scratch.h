/* A folder of this job's own in $TMPDIR, for what must be a file for git's sake. */
#pragma once

#include "common/err.h"

#include <limits.h>

/* Makes it, and names it in the environment for git's hook; it goes when the program ends. */
int scratch_begin(struct err *err);
/* The path of `name` in there. */
const char *scratch_path(const char *name, char out[PATH_MAX]);
