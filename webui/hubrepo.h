/* What the handlers of repositories have in common. */
#pragma once

#include "webui/http.h"
#include "webui/view.h"

/* As req_fail, with what huggingface_hub calls the error: a revision, or a path, that is not there.
 */
enum MHD_Result hubrepo_fail(struct req *r, const struct err *err);

/* [{rfilename, size, blobId, lfs?}] of a commit: a new reference, or NULL with err. Kept for the
 * next one who asks; `rev` is a sha then, and *ret_sha the same. */
json_t *hubrepo_siblings(struct app *app, const struct space *space, const char *rev,
                         char ret_sha[65], struct err *err);
