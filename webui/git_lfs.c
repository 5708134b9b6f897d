/* Git LFS: the batch API and its basic transfers (git-lfs docs/api/batch.md, basic-transfers.md).
 */
#include "common/cleanup.h"
#include "webui/body.h"
#include "webui/git_http.h"
#include "webui/lfs_link.h"
#include "webui/owners.h"
#include "webui/pipe.h"
#include "webui/range.h"
#include "webui/repo.h"
#include "webui/upload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TYPE "application/vnd.git-lfs+json"
#define OBJECTS_MAX 1000
#define CSP "default-src 'none'; frame-ancestors 'none'"

static enum MHD_Result say(struct req *r, unsigned status, json_t *o)
{
    _cleanup_free_ char *text = json_dumps(o, JSON_COMPACT);
    struct buf body = BUF_INIT(16 << 20);
    json_decref(o);
    return text && buf_puts(&body, text) == 0 ? req_text(r, status, TYPE, &body) : MHD_NO;
}

static json_t *action(struct req *r, const struct view *v, const char *method, const char *oid,
                      const char *tail)
{
    char href[1024], query[160] = "";
    const char *auth = req_header(r, "Authorization");
    json_t *header = json_object();
    if (method)
        lfs_link_query(method, v->space.owner, v->space.name, oid, query);
    else if (auth) /* git-lfs sends what stands here */
        json_object_set_new(header, "Authorization", json_string(auth));
    snprintf(href, sizeof href, "%s.git/info/lfs/objects/%s%s", v->page, tail, query);
    return json_pack("{s:s, s:o, s:i}", "href", href, "header", header, "expires_in", 3600);
}

static void add_actions(struct req *r, const struct view *v, json_t *o, bool uploads)
{
    const char *oid = json_string_value(json_object_get(o, "oid"));
    bool stored = json_is_true(json_object_get(o, "stored"));
    bool valid = json_is_true(json_object_get(o, "valid"));
    if (!valid) {
        json_object_set_new(o, "error",
                            json_pack("{s:i, s:s}", "code", 422, "message", "an oid is a SHA-256"));
    } else if (!uploads && !stored) {
        json_object_set_new(
            o, "error",
            json_pack("{s:i, s:s}", "code", 404, "message", "the object is not stored here"));
    } else if (!uploads) {
        json_object_set_new(o, "actions",
                            json_pack("{s:o}", "download", action(r, v, "GET", oid, oid)));
    } else if (!stored) {
        json_object_set_new(o, "actions",
                            json_pack("{s:o, s:o}", "upload", action(r, v, "PUT", oid, oid),
                                      "verify", action(r, v, NULL, oid, "verify")));
    }
    json_object_set_new(o, "authenticated", json_true());
    json_object_del(o, "stored");
    json_object_del(o, "valid");
}

enum MHD_Result git_lfs_batch(struct req *r)
{
    _cleanup_body_ json_t *body = NULL, *known = NULL;
    enum MHD_Result answer;
    struct err err = {0};
    struct view v;
    size_t i;
    json_t *o;
    char why[512];
    if (!body_object(r, &body, &answer) || !git_space(r, &v, &answer))
        return answer;
    const char *operation = body_text(body, "operation");
    bool uploads = strcmp(operation, "upload") == 0;
    const json_t *objects = json_object_get(body, "objects");
    if ((!uploads && strcmp(operation, "download") != 0) || !json_is_array(objects) ||
        json_array_size(objects) > OBJECTS_MAX)
        return req_error(r, 422, "the batch is an upload or download of at most %d objects",
                         OBJECTS_MAX);
    if (uploads && !auth_may(r, r->owner, MAY_WRITE)) {
        auth_why_not(r, r->owner, MAY_WRITE, why, sizeof why);
        return req_error(r, *auth_name(r) ? 403 : 401, "%s", why);
    }
    if (repo_lfs(r->app, &v.space, objects, &known, &err) < 0)
        return req_fail(r, &err);
    json_t *list = json_object_get(known, "objects");
    json_array_foreach(list, i, o) if (json_is_object(o)) add_actions(r, &v, o, uploads);
    return say(
        r, 200,
        json_pack("{s:s, s:O, s:s}", "transfer", "basic", "objects", list, "hash_algo", "sha256"));
}

enum MHD_Result git_lfs_put(struct req *r)
{
    enum MHD_Result answer;
    struct err err = {0};
    struct view v;
    if (!git_space(r, &v, &answer))
        return answer;
    if (repo_lfs_store(r->app, &v.space, r->what, upload_bytes(r->upload), upload_fd(r->upload),
                       &err) < 0)
        return req_fail(r, &err);
    return say(r, 200, json_object());
}

enum MHD_Result git_lfs_get(struct req *r)
{
    struct repo_file f = REPO_FILE_NONE;
    enum MHD_Result answer;
    struct err err = {0};
    struct view v;
    struct range range = {.length = UINT64_MAX};
    char etag[80];
    if (!git_space(r, &v, &answer))
        return answer;
    snprintf(etag, sizeof etag, "\"%.64s\"", r->what);
    if (range_is_asked(r)) { /* how much of it there is tells what is asked for */
        if (repo_lfs_object(r->app, &v.space, r->what, 0, 0, &f, &err) < 0)
            return req_fail(r, &err);
        uint64_t size = f.size;
        repo_file_close(&f);
        if (!range_of(r, size, etag, &range))
            return range_refuse(r, size);
    }
    if (repo_lfs_object(r->app, &v.space, r->what, range.offset, range.length, &f, &err) < 0)
        return req_fail(r, &err);
    uint64_t size = f.size;
    struct MHD_Response *response = pipe_file(&f);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "application/octet-stream");
    MHD_add_response_header(response, "ETag", etag);
    range_headers(response, &range, size);
    return req_queue(r, range_status(&range), response, CSP);
}

enum MHD_Result git_lfs_verify(struct req *r)
{
    _cleanup_body_ json_t *body = NULL, *known = NULL;
    enum MHD_Result answer;
    struct err err = {0};
    struct view v;
    if (!body_object(r, &body, &answer) || !git_space(r, &v, &answer))
        return answer;
    json_t *one = json_pack("[O]", body);
    int n = repo_lfs(r->app, &v.space, one, &known, &err);
    json_decref(one);
    if (n < 0)
        return req_fail(r, &err);
    const json_t *o = json_array_get(json_object_get(known, "objects"), 0);
    if (!json_is_true(json_object_get(o, "stored")))
        return req_error(r, 404, "the object is not stored here");
    if (!json_equal(json_object_get(o, "size"), json_object_get(body, "size")))
        return req_error(r, 422, "the object is stored with another size");
    return say(r, 200, json_object());
}

enum MHD_Result git_lfs_locks(struct req *r)
{
    return req_error(r, 501, "locks are not kept here");
}
