#include "webui/reach.h"

#include "webui/lfs_link.h"

#include <string.h>

bool reach_may_see(struct req *r, const struct space *space)
{
    return strcmp(space->visibility, "private") != 0 || auth_may(r, space->owner, MAY_READ);
}

bool reach_may_see_files(struct req *r, const struct space *space)
{
    return strcmp(space->visibility, "public") == 0 || auth_may(r, space->owner, MAY_READ) ||
           ((r->route->flags & ROUTE_SIGNED) && lfs_link_is_good(r));
}

static bool reach(struct req *r, bool files, struct view *ret, enum MHD_Result *answer)
{
    struct err err = {0};
    int found = view_find(r->app, r->owner, r->name, ret, &err);
    if (found == 1 && (files ? reach_may_see_files(r, &ret->space) : reach_may_see(r, &ret->space)))
        return true;
    if (found >= 0)
        r->error_code = "RepoNotFound";
    /* git sends its password only when it is asked for one */
    if (found >= 0 && (r->route->flags & ROUTE_GIT) && r->auth == AUTH_NONE)
        *answer =
            req_error(r, 401, "there is no Space %s/%s, or it needs a token", r->owner, r->name);
    else
        *answer = found < 0 ? req_fail(r, &err)
                            : req_error(r, 404, "there is no Space %s/%s", r->owner, r->name);
    return false;
}

bool reach_still(struct req *r, struct view *ret)
{
    return view_find(r->app, r->owner, r->name, ret, NULL) == 1 && reach_may_see(r, &ret->space);
}

bool reach_space(struct req *r, struct view *ret, enum MHD_Result *answer)
{
    return reach(r, false, ret, answer);
}

bool reach_files(struct req *r, struct view *ret, enum MHD_Result *answer)
{
    return reach(r, true, ret, answer);
}

struct site_viewer reach_viewer(const struct req *r)
{
    return (struct site_viewer){.all = auth_is_admin(r->auth),
                                .user_id = r->auth == AUTH_USER ? r->token.user_id : 0};
}
