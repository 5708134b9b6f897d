/* A copy of a Space's files into another, as one commit. */
#pragma once

#include "common/err.h"
#include "webui/app.h"
#include "webui/site.h"

/* By git's own objects, so that links and executable files stay what they are.
 * What is at `from`'s main becomes a commit of `to`, which has no version yet. Its history stays
 * behind. */
int duplicate_files(struct app *app, const struct space *from, const struct space *to,
                    const char *author, struct err *err);
