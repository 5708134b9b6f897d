#include "webui/api.h"
#include "webui/body.h"
#include "webui/reach.h"
#include "webui/submit.h"
#include "webui/versions.h"

#include <stdio.h>
#include <string.h>

enum MHD_Result api_space_versions(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_files(r, &v, &answer))
        return answer;
    json_t *out = versions_json(r->app->site, &v.space,
                                (uint64_t)req_query_number(r, "limit", 1, 1000, 1000), &err);
    return out ? req_json(r, 200, out) : req_fail(r, &err);
}

/* JSON {"version"}, or the same as a field of a page's form. */
static bool asked_version(struct req *r, char out[80], enum MHD_Result *answer)
{
    json_t *body = NULL;
    if (!req_wants_json(r)) {
        if (req_field(r, "version", out, 80))
            return true;
        *answer = req_error(r, 400, "say which version");
        return false;
    }
    if (!body_object(r, &body, answer))
        return false;
    snprintf(out, 80, "%s", body_text(body, "version"));
    json_decref(body);
    if (!*out)
        *answer = req_error(r, 400, "say which version: {\"version\": \"...\"}");
    return *out != 0;
}

enum MHD_Result api_space_rollback(struct req *r)
{
    struct submit_result result = {0};
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    char asked[80], sha[65];
    if (!asked_version(r, asked, &answer) || !reach_files(r, &v, &answer))
        return answer;
    if (versions_find(r->app->site, &v.space, asked, sha, &err) < 0 ||
        submit_rollback(r->app, &v.space, sha, auth_name(r), &result, &err) < 0)
        return req_fail(r, &err);
    view_of(r->app, &result.space, &v);
    if (!req_wants_json(r))
        return req_redirect(r, v.page);
    return req_json(r, 200,
                    json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", v.space.full, "url", v.url, "page",
                              v.page, "version", result.sha, "stage", v.stage));
}
