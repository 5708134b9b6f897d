#include "webui/api.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/hubrepo.h"
#include "webui/limits.h"
#include "webui/stream.h"
#include "webui/submit.h"
#include "webui/upload.h"
#include "webui/reach.h"
#include "webui/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum MHD_Result api_health(struct req *r)
{
    struct buf body = BUF_INIT(16);
    if (buf_puts(&body, "ok") < 0)
        return MHD_NO;
    return req_text(r, 200, "text/plain; charset=utf-8", &body);
}

/* As huggingface_hub names them. */
static enum site_order order_of(const char *sort)
{
    if (!sort)
        return SITE_BY_CHANGE;
    return strcmp(sort, "createdAt") == 0                                     ? SITE_BY_CREATION
           : strcmp(sort, "likes") == 0 || strcmp(sort, "trendingScore") == 0 ? SITE_BY_LIKES
                                                                              : SITE_BY_CHANGE;
}

/* The card as JSON, or NULL. */
static json_t *card_of(struct req *r, const struct space *space)
{
    _cleanup_free_ char *readme = NULL;
    _cleanup_free_ char *card = NULL;
    struct err err = {0};
    if (site_version_texts(r->app->site, space->version_id, &readme, &card, &err) < 0)
        return NULL;
    return json_loads(card, 0, NULL);
}

enum MHD_Result api_spaces_list(struct req *r)
{
    const char *text = req_query(r, "search");
    struct site_search search = {
        .viewer = reach_viewer(r),
        .text = text ? text : req_query(r, "q"), /* search_spaces' */
        .author = req_query(r, "author"),
        .tag = req_query(r, "filter"),
        .order = order_of(req_query(r, "sort")),
        .offset = (size_t)req_query_number(r, "offset", 0, 1000000000, 0),
        .limit = (size_t)req_query_number(r, "limit", 1, 1000, 1000),
    };
    struct err err = {0};
    struct site_list list;
    if (site_list(r->app->site, &search, &list, &err) < 0)
        return req_fail(r, &err);
    _cleanup_free_ struct space *rows = list.rows;
    bool full = req_query(r, "full") || req_query(r, "expand");
    json_t *out = json_array();
    for (size_t i = 0; i < list.n; i++) {
        struct view v;
        view_of(r->app, &rows[i], &v);
        json_array_append_new(out, view_json(&v, full ? card_of(r, &rows[i]) : NULL));
    }
    if (list.more)
        req_next(r, "offset", search.offset + list.n);
    return req_json(r, 200, out);
}

/* The Spaces of a namespace as its settings list them: who asks, or the path's organisation. */
enum MHD_Result api_spaces_owned(struct req *r)
{
    struct site_search search = {
        .viewer = reach_viewer(r),
        .author = *r->owner ? r->owner : auth_name(r),
        .offset = (size_t)req_query_number(r, "offset", 0, 1000000000, 0),
        .limit = 1000,
    };
    struct err err = {0};
    struct site_list list;
    if (site_list(r->app->site, &search, &list, &err) < 0)
        return req_fail(r, &err);
    _cleanup_free_ struct space *rows = list.rows;
    json_t *out = json_array();
    for (size_t i = 0; i < list.n; i++) {
        struct view v;
        char changed[25];
        view_of(r->app, &rows[i], &v);
        time_iso((uint64_t)rows[i].updated_ms, changed);
        json_int_t bytes = v.life.data_bytes > 0 ? (json_int_t)v.life.data_bytes : 0;
        json_array_append_new(out,
                              json_pack("{s:s, s:s, s:s, s:s, s:I, s:i}", "id", rows[i].full,
                                        "type", "space", "updatedAt", changed, "visibility",
                                        rows[i].visibility, "storage", bytes, "storagePercent", 0));
    }
    if (list.more)
        req_next(r, "offset", search.offset + list.n);
    return req_json(r, 200, out);
}

/* May who asks see it? */
enum MHD_Result api_auth_check(struct req *r)
{
    struct view v;
    enum MHD_Result answer;
    return reach_files(r, &v, &answer) ? req_json(r, 200, json_pack("{s:b}", "ok", 1)) : answer;
}

/* At a revision, or (NULL) as it is. */
static enum MHD_Result info(struct req *r, const char *rev)
{
    struct app *app = r->app;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    char sha[65] = "";
    if (!reach_space(r, &v, &answer))
        return answer;
    bool may_see = reach_may_see_files(r, &v.space);
    const char *at = rev ? rev : *v.space.sha ? v.space.sha : "main";
    json_t *files = may_see ? hubrepo_siblings(app, &v.space, at, sha, &err) : NULL;
    if (!files && rev && may_see)
        return hubrepo_fail(r, &err);
    json_t *o = view_json(&v, card_of(r, &v.space)), *data = limits_data_json(app, &v);
    if (files)
        json_object_set_new(o, "siblings", files);
    if (files && *sha)
        json_object_set_new(o, "sha", json_string(sha));
    if (data)
        json_object_set_new(o, "data", data);
    return req_json(r, 200, o);
}

enum MHD_Result api_space_get(struct req *r)
{
    return info(r, NULL);
}

enum MHD_Result api_space_revision(struct req *r)
{
    return info(r, r->what);
}

enum MHD_Result api_space_runtime(struct req *r)
{
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    return req_json(r, 200, view_runtime_json(&v));
}

enum MHD_Result api_space_bundle(struct req *r)
{
    const char *filename = req_query(r, "filename");
    struct submit_bundle bundle = {.owner = r->owner,
                                   .name = r->name,
                                   .filename = filename ? filename : "",
                                   .message = "uploaded over the API",
                                   .author = auth_name(r),
                                   .fd = upload_fd(r->upload)};
    struct submit_result result;
    struct err err = {0};
    _cleanup_close_ int taken = -1;
    int came = api_upload_take(r, &taken, &err);
    if (came < 0)
        return req_fail(r, &err);
    if (came)
        bundle.fd = taken;
    else if (upload_bytes(r->upload) == 0)
        return req_error(r, 400,
                         "the request has no body: send an archive (zip, tar, tar.gz, "
                         "tar.zst)");
    if (submit_run(r->app, &bundle, &result, &err) < 0)
        return req_fail(r, &err);
    struct view v;
    view_of(r->app, &result.space, &v);
    return req_json(r, 200,
                    json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "id", v.space.full, "url", v.url,
                              "page", v.page, "version", v.space.sha, "command_id",
                              (json_int_t)result.command_id, "stage", v.stage));
}

/* Forms of our pages come here too: they go back to where they were. */
static enum MHD_Result done(struct req *r, const struct view *v, const char *stage)
{
    if (req_wants_json(r)) {
        bool gone = strcmp(stage, "DELETING") == 0;
        json_t *o = gone ? json_object() : view_runtime_json(v);
        json_object_set_new(o, "ok", json_true());
        json_object_set_new(o, "stage", json_string(stage));
        return req_json(r, 200, o);
    }
    const char *from = req_header(r, "Referer");
    return req_redirect(r, from && strstr(from, "/admin") ? "/admin" : v->page);
}

static enum MHD_Result command(struct req *r, const char *verb)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    if (submit_command(r->app, &v.space, verb, &err) < 0)
        return req_fail(r, &err);
    struct space space = v.space;
    view_of(r->app, &space, &v);
    return done(r, &v, v.stage);
}

enum MHD_Result api_space_start(struct req *r)
{
    return command(r, "start");
}

enum MHD_Result api_space_stop(struct req *r)
{
    return command(r, "stop");
}

/* A Space that somebody has stopped is started, as huggingface_hub's users expect. */
enum MHD_Result api_space_restart(struct req *r)
{
    struct view v;
    struct err err = {0};
    const char *factory = req_query(r, "factory");
    if (factory && strcmp(factory, "true") == 0)
        return command(r, "rebuild");
    bool rests = view_find(r->app, r->owner, r->name, &v, &err) == 1 &&
                 (strcmp(v.stage, "PAUSED") == 0 || strcmp(v.stage, "STOPPED") == 0);
    return command(r, rests ? "start" : "restart");
}

enum MHD_Result api_space_pause(struct req *r)
{
    return command(r, "pause");
}

enum MHD_Result api_space_resume(struct req *r)
{
    return command(r, "resume");
}

enum MHD_Result api_space_rebuild(struct req *r)
{
    return command(r, "rebuild");
}

enum MHD_Result api_space_cancel(struct req *r)
{
    return command(r, "cancel");
}

enum MHD_Result api_space_delete(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    if (submit_delete(r->app, &v.space, &err) < 0)
        return req_fail(r, &err);
    snprintf(v.page, sizeof v.page, "/");
    return done(r, &v, "DELETING");
}

/* ---- server-sent changes of one Space ------------------------------------------------------- */

struct changes {
    struct app *app;
    int64_t space_id;
    char last[1024]; /* what was said last: the same is not said again */
};

static void changes_free(void *arg)
{
    free(arg);
}

static int changes_next(void *arg, bool news, struct buf *out)
{
    struct changes *c = arg;
    if (!news)
        return 0;
    struct space space;
    struct err err;
    int found = site_find_id(c->app->site, c->space_id, &space, &err);
    if (found < 0)
        return 0;
    struct view v;
    if (found == 0) {
        space = (struct space){.id = c->space_id, .deleted_ms = 1};
        snprintf(space.label, sizeof space.label, "gone");
    }
    view_of(c->app, &space, &v);
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:s}", "stage", v.stage, "word",
                          stage_word(v.stage), "reason", v.life.reason, "worker_id",
                          (json_int_t)v.life.worker_id, "version", v.space.sha);
    json_object_set_new(o, "class", json_string(stage_class(v.stage)));
    json_object_set_new(o, "shows_demo", json_boolean(stage_shows_demo(v.stage)));
    _cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (!text)
        return -ENOMEM;
    if (strncmp(text, c->last, sizeof c->last - 1) == 0)
        return 0;
    snprintf(c->last, sizeof c->last, "%s", text);
    return buf_printf(out, "data: %s\n\n", text) < 0 ? -ENOMEM : found == 0;
}

enum MHD_Result api_space_events(struct req *r)
{
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    struct changes *c = calloc(1, sizeof *c);
    if (!c)
        return MHD_NO;
    c->app = r->app;
    c->space_id = v.space.id;
    struct stream_source source = {.next = changes_next,
                                   .free = changes_free,
                                   .interval_ms = 5000,
                                   .type = "text/event-stream",
                                   .keepalive = ": still here\n\n",
                                   .space_id = v.space.id};
    return stream_answer(r, &source, c);
}
