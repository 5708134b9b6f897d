/* The picture of a Space: a file of its bundle that its card names. One elsewhere is not shown: it
 * would tell that place who looks at the gallery. */
#pragma once

#include "webui/app.h"
#include "webui/site.h"

/* Its address on the site, or "" where the card names none of ours. */
void thumbnail_url(const struct space *space, char out[400]);

struct thumbnails;
int thumbnails_new(struct thumbnails **ret, struct err *err);
void thumbnails_free(struct thumbnails *t); /* NULL is fine */
