#include "webui/reach.h"

bool reach_space(struct req *r, struct view *ret, enum MHD_Result *answer)
{
    struct err err = {0};
    int found = view_find(r->app, r->owner, r->name, ret, &err);
    if (found == 1)
        return true;
    if (found == 0)
        r->error_code = "RepoNotFound";
    *answer = found < 0 ? req_fail(r, &err)
                        : req_error(r, 404, "there is no Space %s/%s", r->owner, r->name);
    return false;
}
