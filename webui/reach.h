/* The Space that a request's path names, for who may see it. Every handler of a Space comes in
 * here. */
#pragma once

#include "webui/http.h"
#include "webui/view.h"

/* True with the Space; else *answer is what to return. One that is not there, and one that is not
 * theirs to see, read the same. */
bool reach_space(struct req *r, struct view *ret, enum MHD_Result *answer);
