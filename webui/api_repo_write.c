/* What changes a Space's repository, as huggingface_hub asks. */
#include "webui/api.h"

#include "common/util.h"
#include "webui/body.h"
#include "webui/hubrepo.h"
#include "webui/reach.h"
#include "webui/repo.h"
#include "webui/submit.h"
#include "webui/upload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NO_XET "Xet-is-not-spoken-here,set-HF_HUB_DISABLE_XET=1"

/* The path names the branch; of tags the revision where one is made, and the tag where one is
 * deleted. */
static enum MHD_Result change_ref(struct req *r, enum repo_ref kind)
{
    _cleanup_body_ json_t *body = NULL;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_files(r, &v, &answer) || !body_object(r, &body, &answer))
        return answer;
    bool is_tag = kind == REPO_TAG;
    const char *name = is_tag ? body_text(body, "tag") : r->what,
               *from = is_tag ? r->what : body_text(body, "startingPoint"),
               *message = is_tag ? body_text(body, "message") : "";
    int res = strcmp(r->method, "DELETE") == 0
                  ? repo_ref_delete(r->app, &v.space, kind, r->what, &err)
                  : repo_ref_create(r->app, &v.space, kind, name, *from ? from : "main",
                                    *message ? message : NULL, auth_name(r), &err);
    return res < 0 ? hubrepo_fail(r, &err) : req_json(r, 200, json_pack("{s:b}", "ok", 1));
}

enum MHD_Result api_branch(struct req *r)
{
    return change_ref(r, REPO_BRANCH);
}

enum MHD_Result api_tag(struct req *r)
{
    return change_ref(r, REPO_TAG);
}

/* POST P/super-squash/BRANCH {message} */
enum MHD_Result api_squash(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    struct submit_result result;
    if (!reach_files(r, &v, &answer) || !body_object(r, &body, &answer))
        return answer;
    const char *message = body_text(body, "message");
    message = *message ? message : "Squashed";
    int res = strcmp(r->what, "main") == 0
                  ? submit_squash(r->app, &v.space, message, auth_name(r), &result, &err)
                  : repo_squash(r->app, &v.space, r->what, message, auth_name(r), &err);
    return res < 0 ? hubrepo_fail(r, &err) : req_json(r, 200, json_pack("{s:b}", "ok", 1));
}

/* The question without the samples, which are not looked at. */
static json_t *question(const json_t *body)
{
    json_t *files = json_array(), *file;
    size_t i;
    json_array_foreach(json_object_get(body, "files"), i, file)
    {
        json_t *o = json_object();
        json_object_set(o, "path", json_object_get(file, "path"));
        json_array_append_new(files, o);
    }
    json_t *out = json_pack("{s:o}", "files", files), *ignore = json_object_get(body, "gitIgnore");
    if (json_is_string(ignore))
        json_object_set(out, "gitIgnore", ignore);
    return out;
}

enum MHD_Result api_preupload(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    json_t *found, *file;
    size_t i;
    if (!reach_files(r, &v, &answer) || !body_object(r, &body, &answer))
        return answer;
    _cleanup_body_ json_t *ask = question(body);
    if (repo_preupload(r->app, &v.space, r->what, ask, &found, &err) < 0)
        return hubrepo_fail(r, &err);
    json_array_foreach(json_object_get(found, "files"), i, file)
    {
        json_t *asked = json_array_get(json_object_get(body, "files"), i);
        json_int_t size = json_integer_value(json_object_get(asked, "size"));
        /* What is LFS, huggingface_hub sends by Xet where it can, whatever the server says; so as
         * little as possible is. */
        bool large = size > 0 && (uint64_t)size > r->app->conf->upload_max_regular;
        json_object_set_new(file, "uploadMode", json_string(large ? "lfs" : "regular"));
    }
    return req_json(r, 200, found);
}

enum MHD_Result api_commit(struct req *r)
{
    struct submit_result result;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_files(r, &v, &answer))
        return answer;
    const char *pr = req_query(r, "create_pr"), *branch = r->what;
    if (pr && strcmp(pr, "0") != 0 && strcmp(pr, "false") != 0)
        return req_error(r, 400,
                         "there are no pull requests here: commit to a branch (revision=...), and "
                         "open a discussion");
    if (strncmp(branch, "refs/heads/", 11) == 0)
        branch += 11;
    if (submit_commit(r->app, &v.space, upload_fd(r->upload), branch, auth_name(r), &result, &err) <
        0)
        return hubrepo_fail(r, &err);
    return req_json(r, 200,
                    json_pack("{s:b, s:s, s:s, s:o, s:s}", "success", 1, "commitOid", result.sha,
                              "hookOutput", "", "commitUrl",
                              json_sprintf("%s/commit/%s", v.page, result.sha), "url", v.url));
}

/* hf_xet asks for this where a file is to go by Git LFS. It shows people the address that failed,
 * and nothing of the answer: so it is sent to an address that says what to do. */
enum MHD_Result api_no_xet(struct req *r)
{
    char place[URL_MAX], limit[32];
    const char *done = strstr(r->path, NO_XET);
    if (!done) {
        snprintf(place, sizeof place, "/api/spaces/%.96s/%.96s/" NO_XET, r->owner, r->name);
        return req_redirect(r, place);
    }
    format_bytes(r->app->conf->upload_max_regular, limit);
    return req_error(r, 400,
                     "files above %s go by Git LFS here, and Xet is not spoken: set "
                     "HF_HUB_DISABLE_XET=1 and upload again",
                     limit);
}

/* The sentences of a list, with newlines between them. */
static int join(const json_t *list, struct buf *out)
{
    size_t i;
    json_t *o;
    int r = 0;
    json_array_foreach(list, i, o)
    {
        const char *message = json_string_value(json_object_get(o, "message"));
        if (r == 0 && message)
            r = buf_printf(out, "%s%s", out->len ? "\n" : "", message);
    }
    return r;
}

/* The card is YAML, a stranger's, and read in a job, by what reads it when it is submitted. Asked
 * without a token, too: RepoCard.validate sends none. */
enum MHD_Result api_validate_yaml(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    _cleanup_buf_ struct buf said = BUF_INIT(64 * 1024);
    enum MHD_Result answer;
    struct err err = {0};
    json_t *judged = NULL;
    if (!body_object(r, &body, &answer))
        return answer;
    const char *content = json_string_value(json_object_get(body, "content"));
    const char *type = json_string_value(json_object_get(body, "repoType"));
    if (!content)
        return req_error(r, 400, "\"content\" is missing");
    if (repo_card(r->app, content, !type || strcmp(type, "space") == 0, &judged, &err) < 0)
        return req_fail(r, &err);
    const json_t *errors = json_object_get(judged, "errors");
    if (json_array_size(errors) == 0)
        return req_json(r, 200, judged);
    (void)join(errors, &said);
    json_object_set_new(judged, "error", json_string(said.len ? said.data : "the card is wrong"));
    return req_json(r, 400, judged);
}
