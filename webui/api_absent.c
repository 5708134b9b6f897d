/* What Hugging Face's clients can ask for and there is none of here: the answer that says so in
 * their words, an empty list where they take one and else what to do instead. */
#include "webui/api.h"

#include "common/util.h"
#include "webui/body.h"
#include "webui/owners.h"
#include "webui/reach.h"

#include <string.h>

/* create_repo(space_template=...) looks into it before it asks for anything. */
enum MHD_Result api_templates(struct req *r)
{
    return req_json(r, 200, json_pack("{s:[]}", "templates"));
}

enum MHD_Result api_gpu_quota(struct req *r)
{
    return req_json(r, 200, json_pack("{s:i, s:i, s:n}", "base", 0, "current", 0, "resetsAt"));
}

/* Nobody follows anybody; who is not there is a 404 all the same. */
enum MHD_Result api_followers(struct req *r)
{
    struct err err = {0};
    json_t *found = owners_json(r->app->site, r->owner, &err);
    if (!found)
        return req_fail(r, &err);
    const char *type = json_string_value(json_object_get(json_array_get(found, 0), "type"));
    bool org = strncmp(r->path, "/api/organizations/", 19) == 0;
    bool is_there = type && (strcmp(type, "org") == 0) == org;
    json_decref(found);
    return is_there ? req_json(r, 200, json_array())
                    : req_error(r, 404, "there is no %s \"%s\"", org ? "organisation" : "user",
                                r->owner);
}

enum MHD_Result api_space_volumes(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    struct view v;
    if (!reach_space(r, &v, &answer))
        return answer;
    if (strcmp(r->method, "DELETE") == 0)
        return req_error(r, 400, "%s has no volumes attached", v.space.full);
    if (!body_object(r, &body, &answer))
        return answer;
    if (json_array_size(json_object_get(body, "volumes")))
        return req_error(r, 400, "%s", API_NO_VOLUMES);
    return req_json(r, 200, json_pack("{s:b}", "ok", 1));
}

/* Every Space has its /data, of whatever tier somebody asks for. */
enum MHD_Result api_space_storage(struct req *r)
{
    if (strcmp(r->method, "DELETE") == 0)
        return req_error(r, 400,
                         "the /data of a Space comes with it: delete the files in there instead "
                         "(DELETE /api/spaces/%s/%s/data?path=)",
                         r->owner, r->name);
    return api_space_runtime(r);
}

enum MHD_Result api_space_dev_mode(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    if (!body_object(r, &body, &answer))
        return answer;
    if (json_is_true(json_object_get(body, "enabled")))
        return req_error(r, 400,
                         "there is no dev mode on this server: `vitrine dev FOLDER` runs a Space "
                         "on your machine and again whenever you save");
    return api_space_runtime(r);
}
