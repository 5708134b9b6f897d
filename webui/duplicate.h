/* A copy of a Space's files into another, as one commit. */
#pragma once

#include "common/err.h"
#include "webui/app.h"
#include "webui/site.h"

#include <jansson.h>

/* By git's own objects, so that links and executable files stay what they are.
 * What is at `from`'s main becomes a commit of `to`, which has no version yet. Its history stays
 * behind. */
int duplicate_files(struct app *app, const struct space *from, const struct space *to,
                    const char *author, struct err *err);

/* LFS objects of `from` are stored with `to`, whose quota counts them, before a commit that names
 * them. `files`: [{"sha256"}]. *ret_failed: [{"sha256","error"}] of those that could not be. An
 * error is the platform's own. */
int duplicate_objects(struct app *app, const struct space *from, const struct space *to,
                      const json_t *files, json_t **ret_failed, struct err *err);
