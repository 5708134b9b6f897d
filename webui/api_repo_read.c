/* What is in a Space's repository, as huggingface_hub asks. */
#include "webui/api.h"

#include "common/cleanup.h"
#include "webui/body.h"
#include "webui/hubrepo.h"
#include "webui/reach.h"
#include "webui/repo.h"

#include <stdlib.h>
#include <string.h>

#define TREE_PAGE 5000
#define COMMITS_PAGE 100

/* {items: [...], more} is answered with the list alone, and where there is more with the address of
 * what follows. */
static enum MHD_Result answer_items(struct req *r, json_t *found, long next)
{
    json_t *items = json_incref(json_object_get(found, "items"));
    if (json_is_true(json_object_get(found, "more")))
        req_next(r, "offset", (uint64_t)next);
    json_decref(found);
    return req_json(r, 200, items);
}

enum MHD_Result api_tree(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    json_t *tree;
    if (!reach_files(r, &v, &answer))
        return answer;
    const char *deep = req_query(r, "recursive");
    bool recursive = deep && (strcmp(deep, "1") == 0 || strcasecmp(deep, "true") == 0);
    long limit = req_query_number(r, "limit", 1, TREE_PAGE, TREE_PAGE);
    long offset = req_query_number(r, "offset", 0, 1000000000, 0);
    if (repo_tree(r->app, &v.space, r->what, r->rest, recursive, (uint64_t)offset, (uint64_t)limit,
                  &tree, &err) < 0)
        return hubrepo_fail(r, &err);
    return answer_items(r, tree, offset + limit);
}

enum MHD_Result api_commits(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    json_t *log;
    if (!reach_files(r, &v, &answer))
        return answer;
    long limit = req_query_number(r, "limit", 1, 1000, COMMITS_PAGE);
    long offset = req_query_number(r, "offset", 0, 1000000000, 0);
    if (repo_log(r->app, &v.space, r->what, (uint64_t)offset, (uint64_t)limit, &log, &err) < 0)
        return hubrepo_fail(r, &err);
    return answer_items(r, log, offset + limit);
}

enum MHD_Result api_refs(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    json_t *refs;
    if (!reach_files(r, &v, &answer))
        return answer;
    return repo_refs(r->app, &v.space, &refs, &err) < 0 ? hubrepo_fail(r, &err)
                                                        : req_json(r, 200, refs);
}

/* The next field `name` of a urlencoded body after *at, decoded and to be freed; NULL at its end.
 */
static char *next_field(const char **at, const char *name)
{
    size_t name_len = strlen(name);
    while (*at && **at) {
        const char *p = *at, *end = strchrnul(p, '&');
        *at = *end ? end + 1 : end;
        if ((size_t)(end - p) <= name_len || strncmp(p, name, name_len) != 0 || p[name_len] != '=')
            continue;
        p += name_len + 1;
        size_t size = (size_t)(end - p) + 1;
        char *out = malloc(size);
        if (out && req_decode(out, size, p, (size_t)(end - p), true))
            return out;
        free(out);
    }
    return NULL;
}

/* `paths` of a form, or of a JSON body. */
static json_t *paths_of(struct req *r)
{
    const char *type = req_header(r, "Content-Type");
    if (type && strncmp(type, "application/json", 16) == 0) {
        json_t *body = json_loadb(r->small.data ? r->small.data : "", r->small.len, 0, NULL);
        json_t *paths = json_incref(json_object_get(body, "paths"));
        json_decref(body);
        if (json_is_array(paths))
            return paths;
        json_decref(paths);
        return json_array();
    }
    json_t *paths = json_array();
    const char *at = r->small.data;
    for (char *path; (path = next_field(&at, "paths")); free(path))
        json_array_append_new(paths, json_string(path));
    return paths;
}

enum MHD_Result api_paths_info(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    json_t *found;
    if (!reach_files(r, &v, &answer))
        return answer;
    _cleanup_body_ json_t *paths = paths_of(r);
    if (repo_paths(r->app, &v.space, r->what, paths, &found, &err) < 0)
        return hubrepo_fail(r, &err);
    return answer_items(r, found, 0);
}
