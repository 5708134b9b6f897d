/* The versions of a Space: what was deployed of its commits, as site.db knows it. */
#pragma once

#include "common/err.h"
#include "webui/site.h"

#include <jansson.h>
#include <stdint.h>

/* [{"number","sha","message","sdk","files","bytes","createdAt","current"}], newest first; numbers
 * count from 1. NULL with err. */
json_t *versions_json(struct site *s, const struct space *space, uint64_t limit, struct err *err);

/* The sha of what `text` names: a number, or the beginning of a sha (4 digits at least). What is in
 * no row but looks like a sha is taken as a commit. -ENXIO with words. */
int versions_find(struct site *s, const struct space *space, const char *text, char out[65],
                  struct err *err);
