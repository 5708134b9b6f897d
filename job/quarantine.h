/* Objects that are written aside until they are accepted, as git's receive-pack does it: a
 * submission that is refused leaves nothing in the repository. */
#pragma once

#include "common/err.h"

/* From here on git writes objects into a folder of their own, and reads both. */
int quarantine_begin(const char *repo, struct err *err);
/* result 0: the objects move into the repository, which must have been brought to the disk before.
 * Else they are removed, and `result` is returned. Without quarantine_begin it does nothing. */
int quarantine_end(const char *repo, int result, struct err *err);
