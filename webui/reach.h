/* The Space that a request's path names, for who may see it. Every handler of a Space comes in
 * here. */
#pragma once

#include "webui/http.h"
#include "webui/view.h"

/* True with the Space; else *answer is what to return. One that is not there, and one that is not
 * theirs to see, read the same. */
bool reach_space(struct req *r, struct view *ret, enum MHD_Result *answer);
/* The same for its repository's files and history: those of a protected Space are private, while
 * everybody may use the app. */
bool reach_files(struct req *r, struct view *ret, enum MHD_Result *answer);
/* Asked again, while the answer goes on. */
bool reach_still(struct req *r, struct view *ret);
/* May who asks see that Space, or its files? */
bool reach_may_see(struct req *r, const struct space *space);
bool reach_may_see_files(struct req *r, const struct space *space);
/* For lists. */
struct site_viewer reach_viewer(const struct req *r);
