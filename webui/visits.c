#include "webui/visits.h"

#include "common/log.h"
#include "common/proto.h"
#include "common/util.h"
#include "common/visit.h"
#include "webui/api.h"
#include "webui/hub.h"
#include "webui/link.h"
#include "webui/pages.h"
#include "webui/reach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COMMAND_MS 30000

int visibility_set(struct app *app, const struct space *space, const char *visibility,
                   struct err *err)
{
    int64_t command;
    if (strcmp(visibility, "public") != 0 && strcmp(visibility, "private") != 0 &&
        strcmp(visibility, "protected") != 0)
        return err_set(err, EINVAL,
                       "a Space's visibility is public, private or protected, not \"%.40s\"",
                       visibility);
    int r = site_set_visibility(app->site, space->id, visibility, &command, err);
    if (r < 0)
        return r;
    link_nudge(app->link);
    hub_publish(app->hub, space->id);
    return link_command_wait(app->link, command, COMMAND_MS, err);
}

const char *visibility_of(const json_t *body)
{
    const json_t *is_private = json_object_get(body, "private");
    const char *visibility = json_string_value(json_object_get(body, "visibility"));
    if (!visibility && json_is_boolean(is_private))
        visibility = json_is_true(is_private) ? "private" : "public";
    return visibility;
}

bool visits_may(struct app *app, const struct proto_token_ask *ask)
{
    struct space space;
    struct err err = {0};
    int r = site_find_id(app->site, (int64_t)ask->space_id, &space, &err);
    if (r == 1)
        r = auth_token_may(app, ask->token, space.owner, MAY_READ, &err);
    if (r < 0)
        log_warn(NULL, "visits.ask", "%s", err.msg);
    return r == 1;
}

/* A path and a query, as browsers write them. */
static bool path_ok(const char *path)
{
    if (path[0] != '/' || path[1] == '/' || path[1] == '\\' || strlen(path) > 2048)
        return false;
    for (const char *p = path; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == '#')
            return false;
    return true;
}

/* GET /visit/LABEL?to=PATH: to the Space's own host, with a visit where it is private. Who is not
 * logged in is asked to be, whether there is such a Space or not. */
enum MHD_Result page_visit(struct req *r)
{
    struct err err = {0};
    struct space space;
    char url[URL_MAX], visit[VISIT_TEXT], place[URL_MAX + VISIT_TEXT + 2300];
    const char *to = req_query(r, "to");
    int found = site_find_label(r->app->site, r->what, &space, &err);
    if (found == 0)
        found = site_find_moved(r->app->site, NULL, NULL, r->what, &space, &err);
    if (found < 0)
        return req_fail(r, &err);
    if (found == 0 || !reach_may_see(r, &space))
        return r->auth == AUTH_NONE ? page_login_first(r)
                                    : req_error(r, 404, "there is no Space at that address");
    urls_demo(&r->app->urls, space.label, url);
    to = to && path_ok(to)                              ? to
         : *space.base_path && path_ok(space.base_path) ? space.base_path
                                                        : "/";
    if (strcmp(space.visibility, "private") != 0) {
        snprintf(place, sizeof place, "%s%s", url, to);
        return req_redirect(r, place);
    }
    if (visit_make(r->app->visit_key, (uint64_t)space.id, now_ms() / 1000, visit, &err) < 0)
        return req_fail(r, &err);
    snprintf(place, sizeof place, "%s/.vitrine/visit?%s&%s", url, visit, to);
    return req_redirect(r, place);
}

/* PUT P/settings, as huggingface_hub's update_repo_settings: {visibility?, private?} */
enum MHD_Result api_space_settings(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    json_t *body = json_loadb(r->small.data ? r->small.data : "", r->small.len, 0, NULL);
    const char *visibility = visibility_of(body);
    int res = 0;
    if (!json_is_object(body))
        res = err_set(&err, EINVAL, "the body is no JSON object with a visibility");
    else if (visibility)
        res = visibility_set(r->app, &v.space, visibility, &err);
    json_t *o = json_pack("{s:b, s:s}", "ok", 1, "visibility",
                          visibility && res == 0 ? visibility : v.space.visibility);
    json_decref(body);
    if (res < 0 && res != -ETIMEDOUT) {
        json_decref(o);
        return req_fail(r, &err);
    }
    return req_json(r, 200, o);
}
