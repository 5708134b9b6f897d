/* Whether a folder asks for something that `vitrine dev` has to build, and when it does so anew.
 * The runner knows better: here is only what saves asking it. */
#pragma once

#include "common/err.h"
#include "devstage.h"

#include <jansson.h>
#include <stdbool.h>

/* Something may have to be installed or built. `record`: of its card (job/record.h). */
bool devneeds_asks(const struct folder *folder, const json_t *record);
/* A file whose change may lead to another build, though the build is not made of all files. */
bool devneeds_counts(const char *path);
/* A hash over the stage's files: equal for equal ones. Large files count by size and time. */
int devneeds_sha(const struct devstage *s, char out[65], struct err *err);
