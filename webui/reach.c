#include "webui/reach.h"

#include "webui/lfs_link.h"
#include "webui/site.h"

#include <stdio.h>
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

/* Where the request's own address is, now that its Space has another name: relative, since
 * huggingface_hub follows only such with its token. */
static bool moved_to(struct req *r, const struct space *space, char *out, size_t size)
{
    static const char *const before[] = {"/api/spaces/", "/spaces/"};
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(before[i]);
        if (strncmp(r->path, before[i], len) != 0)
            continue;
        const char *name = strchr(r->path + len, '/');
        if (!name)
            return false;
        size_t name_len = strcspn(name + 1, "/");
        const char *rest = name + 1 + name_len;
        bool git = name_len > 4 && strncmp(rest - 4, ".git", 4) == 0;
        return snprintf(out, size, "%s%s%s%s%s", before[i], space->full, git ? ".git" : "", rest,
                        r->query) < (int)size;
    }
    return false;
}

/* A Space that was moved is found by its old name until somebody takes that. */
static bool has_moved(struct req *r, bool files, enum MHD_Result *answer)
{
    char place[REQ_PATH_MAX + 2400];
    struct space space;
    if (site_find_moved(r->app->site, r->owner, r->name, NULL, &space, NULL) != 1 ||
        !(files ? reach_may_see_files(r, &space) : reach_may_see(r, &space)) ||
        !moved_to(r, &space, place, sizeof place))
        return false;
    *answer = req_moved(r, place);
    return true;
}

static bool reach(struct req *r, bool files, struct view *ret, enum MHD_Result *answer)
{
    struct err err = {0};
    int found = view_find(r->app, r->owner, r->name, ret, &err);
    if (found == 1 && (files ? reach_may_see_files(r, &ret->space) : reach_may_see(r, &ret->space)))
        return true;
    if (found == 0 && has_moved(r, files, answer))
        return false;
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
