/* Page templates: the files of webui/pages, compiled in.
 *
 *   {{key}}  the value, HTML-escaped       {{&key}}  the value as it is (made by us)
 *   {{?key}}...{{/key}}  where the value is not empty     {{!key}}...{{/key}}  where it is
 *   {{@site.css}}  the address of a file of webui/static, with its version
 *
 * A key that was not given is a mistake of ours: rendering fails. */
#pragma once

#include "common/buf.h"
#include "common/err.h"

struct tpl_var {
    const char *key, *value; /* a NULL value is "" */
};

/* `vars` ends with a NULL key. `name` is "gallery.html". */
int tpl_render(struct buf *out, const char *name, const struct tpl_var *vars, struct err *err);
