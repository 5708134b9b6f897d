/* A README as HTML: GitHub's flavour, raw HTML and dangerous addresses left out. */
#pragma once

#include "common/buf.h"

/* Once, before any thread. */
void markdown_init(void);

int markdown_html(struct buf *out, const char *text);
