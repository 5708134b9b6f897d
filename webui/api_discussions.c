/* Discussions of a Space, as huggingface_hub speaks of them. Whoever has a token that writes may
 * open one and comment; who opened it, and who may change the Space, may also close and rename it.
 */
#include "webui/api.h"

#include "webui/body.h"
#include "webui/community.h"
#include "webui/reach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PER_PAGE 50

/* The number that the path names; 0 none. */
static int64_t number(const char *text)
{
    char *end;
    long long n = strtoll(text, &end, 10);
    return *text && !*end && n > 0 ? n : 0;
}

enum MHD_Result api_discussions(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    const char *status = req_query(r, "status"), *type = req_query(r, "type");
    struct community_search search = {
        .status = status && strcmp(status, "all") != 0 ? status : NULL,
        .author = req_query(r, "author"),
        .offset = (size_t)req_query_number(r, "p", 0, 1000000, 0) * PER_PAGE,
        /* There are no pull requests to list. */
        .limit = type && strcmp(type, "pull_request") == 0 ? 0 : PER_PAGE,
    };
    if (search.limit == 0)
        return req_json(r, 200,
                        json_pack("{s:i, s:i, s:[]}", "count", 0, "start", 0, "discussions"));
    json_t *o = community_list(r->app->site, &v.space, &search, &err);
    return o ? req_json(r, 200, o) : req_fail(r, &err);
}

enum MHD_Result api_discussion(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    json_t *o = community_details(r->app->site, &v.space, number(r->what), &err);
    return o ? req_json(r, 200, o) : req_fail(r, &err);
}

/* What every change begins with. */
static bool begin(struct req *r, struct view *v, json_t **body, enum MHD_Result *answer)
{
    if (!reach_space(r, v, answer) || !body_object(r, body, answer))
        return false;
    if (auth_is_admin(r->auth) || r->token.right >= MAY_WRITE)
        return true;
    *answer = req_error(r, 403,
                        "the token \"%s\" is one to read with: this needs one of role "
                        "\"write\"",
                        r->token.name);
    return false;
}

enum MHD_Result api_discussion_open(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    int64_t num;
    if (!begin(r, &v, &body, &answer))
        return answer;
    if (json_is_true(json_object_get(body, "pullRequest")))
        return req_error(
            r, 400, "there are no pull requests here: push to a branch, and open a discussion");
    if (community_open(r->app->site, v.space.id, auth_name(r), body_text(body, "title"),
                       body_text(body, "description"), &num, &err) < 0)
        return req_fail(r, &err);
    return req_json(r, 200,
                    json_pack("{s:I, s:o, s:b}", "num", (json_int_t)num, "url",
                              json_sprintf("%s/discussions/%lld", v.page, (long long)num),
                              "pullRequest", 0));
}

/* Is it theirs (the comment's, or with 0 the discussion's author), or may they change the Space? */
static bool may_change(struct req *r, const struct view *v, int64_t num, int64_t comment,
                       bool author_alone, enum MHD_Result *answer)
{
    char author[97];
    struct err err = {0};
    int found = community_author(r->app->site, v->space.id, num, comment, author, &err);
    if (found == 1 && strcasecmp(author, auth_name(r)) == 0)
        return true;
    if (found == 1 && !author_alone && auth_may(r, v->space.owner, MAY_WRITE))
        return true;
    *answer = found < 0    ? req_fail(r, &err)
              : found == 0 ? req_error(r, 404, "there is no such discussion or comment")
                           : req_error(r, 403, "this is for %s%s", author,
                                       author_alone ? "" : ", and for who may change the Space");
    return false;
}

static enum MHD_Result answer_as(struct req *r, const char *key, json_t *event,
                                 const struct err *err)
{
    return event ? req_json(r, 200, json_pack("{s:o}", key, event)) : req_fail(r, err);
}

enum MHD_Result api_discussion_comment(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!begin(r, &v, &body, &answer))
        return answer;
    return answer_as(r, "newMessage",
                     community_comment(r->app->site, v.space.id, number(r->what), auth_name(r),
                                       body_text(body, "comment"), &err),
                     &err);
}

enum MHD_Result api_discussion_title(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!begin(r, &v, &body, &answer) || !may_change(r, &v, number(r->what), 0, false, &answer))
        return answer;
    return answer_as(r, "newTitle",
                     community_title(r->app->site, v.space.id, number(r->what), auth_name(r),
                                     body_text(body, "title"), &err),
                     &err);
}

enum MHD_Result api_discussion_status(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!begin(r, &v, &body, &answer) || !may_change(r, &v, number(r->what), 0, false, &answer))
        return answer;
    const char *comment = body_text(body, "comment");
    if (*comment) {
        json_t *said = community_comment(r->app->site, v.space.id, number(r->what), auth_name(r),
                                         comment, &err);
        if (!said)
            return req_fail(r, &err);
        json_decref(said);
    }
    return answer_as(r, "newStatus",
                     community_status(r->app->site, v.space.id, number(r->what), auth_name(r),
                                      body_text(body, "status"), &err),
                     &err);
}

enum MHD_Result api_discussion_merge(struct req *r)
{
    return req_error(r, 400, "there are no pull requests here, so nothing can be merged");
}

/* "ID/edit" or "ID/hide" */
enum MHD_Result api_discussion_edit(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    char *end;
    long long id = strtoll(r->rest, &end, 10);
    bool edit = strcmp(end, "/edit") == 0;
    if (id <= 0 || (!edit && strcmp(end, "/hide") != 0))
        return req_error(r, 404, "a comment is changed at .../comment/NUMBER/edit or /hide");
    if (!begin(r, &v, &body, &answer) || !may_change(r, &v, number(r->what), id, edit, &answer))
        return answer;
    json_t *event = edit ? community_edit(r->app->site, v.space.id, number(r->what), id,
                                          body_text(body, "content"), &err)
                         : community_hide(r->app->site, v.space.id, number(r->what), id, &err);
    return answer_as(r, "updatedComment", event, &err);
}
