/* Whether a lock may be installed for everybody. What a resolution says is a claim of whatever ran
 * in it, so only the strictest form counts: names, exact versions, hashes, where to look for them,
 * and which files have those hashes (job/pylock.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum lock_kind {
    LOCK_SHARED, /* each line pins one package to hashes: whoever installs it gets the same */
    LOCK_OWN,    /* ... or to a commit */
    LOCK_BOUND,  /* it names files of the version's tree, or what may be another thing tomorrow */
};

enum lock_kind lock_judge(const char *text, size_t len);
/* Packages that it names. */
unsigned lock_count(const char *text, size_t len);
const char *lock_kind_name(enum lock_kind kind); /* as vitrine-job install takes it */
