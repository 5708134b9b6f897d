/* The LFS objects of a repository, as huggingface_hub lists and deletes them. */
#include "webui/api.h"

#include "webui/body.h"
#include "webui/hubrepo.h"
#include "webui/reach.h"
#include "webui/repo.h"
#include "webui/submit.h"

#include <stdio.h>

#define PAGE_ITEMS 1000
#define DELETED_AT_ONCE 1000

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
