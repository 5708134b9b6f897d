/* What an archive leaves out since the repository has it: an entry without content whose extended
 * attribute user.vitrine.kept names a blob. So the command line sends only what has changed. */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "job/tree.h"

#include <stdbool.h>
#include <stddef.h>

#define KEPT_ATTRIBUTE "user.vitrine.kept"

struct kept {
    struct buf oids;  /* one a line */
    struct buf paths; /* "x PATH\0" for a program, "- PATH\0" for another file, in the same order */
    size_t count;
};

void kept_init(struct kept *k);
void kept_free(struct kept *k);

/* For unpack_options.kept; `arg` is a struct kept. */
int kept_add(void *arg, const char *oid, const char *path, bool executable, struct err *err);
/* Makes the files, once the repository is open. -ENOENT where it has not got one of them. */
int kept_fill(struct kept *k, struct tree *tree, struct err *err);
