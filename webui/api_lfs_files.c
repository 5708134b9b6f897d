/* The LFS objects of a repository, as huggingface_hub lists, deletes and copies them. */
#include "webui/api.h"

#include "webui/body.h"
#include "webui/duplicate.h"
#include "webui/hubrepo.h"
#include "webui/reach.h"
#include "webui/repo.h"
#include "webui/submit.h"

#include <stdio.h>
#include <string.h>

#define PAGE_ITEMS 1000
#define DELETED_AT_ONCE 1000
#define COPIED_AT_ONCE 1000

/* GET P/lfs-files?cursor= */
enum MHD_Result api_lfs_files(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    json_t *found;
    if (!reach_files(r, &v, &answer))
        return answer;
    if (repo_lfs_list(r->app, &v.space, &found, &err) < 0)
        return hubrepo_fail(r, &err);
    const json_t *items = json_object_get(found, "items");
    size_t from = (size_t)req_query_number(r, "cursor", 0, 100000000, 0),
           n = json_array_size(items);
    json_t *page = json_array();
    for (size_t i = from; i < n && i < from + PAGE_ITEMS; i++)
        json_array_append(page, json_array_get(items, i));
    if (from + PAGE_ITEMS < n)
        req_next(r, "cursor", from + PAGE_ITEMS);
    json_decref(found);
    return req_json(r, 200, page);
}

/* POST P/lfs-files/batch {deletions: {sha: [SHA256...], rewriteHistory}} */
enum MHD_Result api_lfs_files_delete(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_files(r, &v, &answer) || !body_object(r, &body, &answer))
        return answer;
    const json_t *deletions = json_object_get(body, "deletions");
    const json_t *shas = json_object_get(deletions, "sha");
    if (!json_is_array(shas) || json_array_size(shas) > DELETED_AT_ONCE)
        return req_error(r, 400, "\"deletions\" needs \"sha\", a list of at most %d",
                         DELETED_AT_ONCE);
    struct submit_result result;
    int res = json_is_false(json_object_get(deletions, "rewriteHistory"))
                  ? repo_lfs_delete(r->app, &v.space, shas, &err)
                  : submit_forget(r->app, &v.space, shas, &result, &err);
    if (res < 0)
        return hubrepo_fail(r, &err);
    return req_json(r, 200, json_pack("{s:b}", "ok", 1));
}

/* The Space that is copied to: one that the visitor may write to. One that they may not even see
 * reads as one that is not there. */
static bool find_target(struct req *r, const json_t *target, struct space *ret,
                        enum MHD_Result *answer)
{
    const char *name = body_text(target, "name"), *slash = strchr(name, '/');
    struct err err = {0};
    char owner[128], why[512];
    if (strcmp(body_text(target, "type"), "space") != 0 || !slash ||
        slash - name >= (int)sizeof owner) {
        *answer = req_error(r, 400,
                            "\"target\" is {\"type\": \"space\", \"name\": OWNER/NAME}: "
                            "here are Spaces alone");
        return false;
    }
    snprintf(owner, sizeof owner, "%.*s", (int)(slash - name), name);
    int found = site_find(r->app->site, owner, slash + 1, ret, &err);
    if (found < 0) {
        *answer = req_fail(r, &err);
        return false;
    }
    if (found == 0 || !reach_may_see_files(r, ret)) {
        *answer = req_error(r, 404, "there is no Space %.200s", name);
        return false;
    }
    if (auth_may(r, ret->owner, MAY_WRITE))
        return true;
    auth_why_not(r, ret->owner, MAY_WRITE, why, sizeof why);
    *answer = req_error(r, 403, "%s", why);
    return false;
}

/* POST P/lfs-files/duplicate {target: {type, name}, files: [{sha256, xetHash, filename}]}: before a
 * commit to the target that names them. */
enum MHD_Result api_lfs_files_duplicate(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    struct err err = {0};
    struct space to;
    struct view v;
    enum MHD_Result answer;
    json_t *failed;
    if (!reach_files(r, &v, &answer) || !body_object(r, &body, &answer) ||
        !find_target(r, json_object_get(body, "target"), &to, &answer))
        return answer;
    const json_t *files = json_object_get(body, "files");
    if (!json_is_array(files) || json_array_size(files) > COPIED_AT_ONCE)
        return req_error(r, 400, "\"files\" is a list of at most %d", COPIED_AT_ONCE);
    if (duplicate_objects(r->app, &v.space, &to, files, &failed, &err) < 0)
        return hubrepo_fail(r, &err);
    return req_json(r, 200, json_pack("{s:o}", "failed", failed));
}
