/* The limits of one Space as the site shows and sets them. */
#pragma once

#include "common/err.h"
#include "webui/http.h"
#include "webui/view.h"

#include <jansson.h>

/* {bytes, inodes, limit_bytes, quota, text}: what /data of the Space takes, `text` in words. NULL
 * before it was measured. */
json_t *limits_data_json(struct app *app, const struct view *v);
/* {"limits": [{name, about, default, value, own, used}], "note"}: values as one writes them; `used`
 * only where it is known: of most while a worker runs. NULL with err. */
json_t *limits_json(struct app *app, const struct view *v, struct err *err);
/* Sets what the request's fields name; all of them, or where one is wrong none. */
int limits_set(struct req *r, const struct view *v, struct err *err);
