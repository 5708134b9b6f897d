#include "webui/api.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/life.h"
#include "webui/link.h"
#include "webui/stats.h"
#include "webui/stream.h"
#include "webui/view.h"

#include <errno.h>
#include <string.h>

#define STATS_AGE_MS 3000
#define STATS_WAIT_MS 1200
#define SPACES_MAX 1000

static json_t *worker_json(struct app *app, const struct life_worker *w)
{
    struct stats_worker st = {0};
    bool known = stats_get(app->stats, (uint64_t)w->id, STATS_AGE_MS, &st);
    struct space space = {0};
    struct err err;
    struct view v = {0};
    if (site_find_id(app->site, w->space_id, &space, &err) == 1)
        view_of(app, &space, &v);
    char sha[65] = "";
    (void)site_version_sha(app->site, w->version_id, sha, NULL);
    uint64_t now = now_ms(), since = (uint64_t)w->created_ms;
    json_t *o = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s}", "worker_id", (json_int_t)w->id, "space",
                          space.full, "title", v.title, "state", w->state, "stage", v.stage,
                          "version", sha);
    json_t *numbers = json_pack(
        "{s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "memory_bytes",
        (json_int_t)st.memory_bytes, "memory_limit_bytes",
        (json_int_t)(known ? st.memory_limit_bytes : app->conf->limits_memory), "cpu_us",
        (json_int_t)st.cpu_us, "cpu_percent", st.cpu_percent, "pids", (json_int_t)st.pids,
        "uptime_ms", (json_int_t)(now > since ? now - since : 0), "requests",
        (json_int_t)(known && st.requests > (uint64_t)w->requests ? st.requests
                                                                  : (uint64_t)w->requests),
        "refs", (json_int_t)st.refs, "restarts", (json_int_t)w->restarts, "pid", (json_int_t)w->pid,
        "measured", known);
    json_object_set_new(o, "gpus", json_string(w->gpus));
    json_object_update(o, numbers);
    json_decref(numbers);
    return o;
}

json_t *api_admin_snapshot(struct app *app)
{
    struct err err = {0};
    _cleanup_free_ struct life_worker *workers = NULL;
    size_t n_workers = 0;
    (void)life_workers(app->life, &workers, &n_workers, &err);
    json_t *list = json_array();
    for (size_t i = 0; i < n_workers; i++)
        json_array_append_new(list, worker_json(app, &workers[i]));

    json_t *spaces = json_array();
    struct site_list found = {0};
    const struct site_search all = {.viewer = {.all = true}, .limit = SPACES_MAX};
    (void)site_list(app->site, &all, &found, &err);
    _cleanup_free_ struct space *rows = found.rows;
    for (size_t i = 0; i < found.n; i++) {
        struct view v;
        view_of(app, &rows[i], &v);
        json_t *o = view_json(&v, NULL);
        json_object_set_new(o, "word", json_string(stage_word(v.stage)));
        json_object_set_new(o, "class", json_string(stage_class(v.stage)));
        json_array_append_new(spaces, o);
    }
    return json_pack("{s:o, s:o}", "workers", list, "spaces", spaces);
}

/* Numbers come while somebody asks for them; a first look waits for the first ones. */
static void freshen(struct app *app)
{
    struct err err = {0};
    _cleanup_free_ struct life_worker *workers = NULL;
    size_t n = 0;
    link_watch(app->link);
    (void)life_workers(app->life, &workers, &n, &err);
    for (size_t i = 0; i < n; i++)
        if (strcmp(workers[i].state, "ready") == 0) {
            stats_await(app->stats, (uint64_t)workers[i].id, STATS_AGE_MS, STATS_WAIT_MS);
            break;
        }
}

enum MHD_Result api_admin_workers(struct req *r)
{
    freshen(r->app);
    return req_json(r, 200, api_admin_snapshot(r->app));
}

/* The site itself is not the stream's to free. */
static void nothing_to_free(void *arg)
{
    (void)arg;
}

static int watch_next(void *arg, bool news, struct buf *out)
{
    (void)news;
    struct app *app = arg;
    link_watch(app->link);
    json_t *o = api_admin_snapshot(app);
    _cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (!text || buf_printf(out, "data: %s\n\n", text) < 0)
        return -ENOMEM;
    return 0;
}

enum MHD_Result api_admin_workers_stream(struct req *r)
{
    struct stream_source source = {.next = watch_next,
                                   .free = nothing_to_free,
                                   .interval_ms = 1000,
                                   .type = "text/event-stream",
                                   .keepalive = ": still here\n\n",
                                   .space_id = 0};
    return stream_answer(r, &source, r->app);
}

enum MHD_Result api_admin_events(struct req *r)
{
    unsigned limit = (unsigned)req_query_number(r, "limit", 1, 1000, 100);
    return req_json(r, 200, json_pack("{s:o}", "events", life_events(r->app->life, 0, limit)));
}

enum MHD_Result api_admin_login_link(struct req *r)
{
    char secret[65];
    struct err err = {0};
    if (auth_link_new(r->app->auth, secret, &err) < 0)
        return req_fail(r, &err);
    return req_json(
        r, 200,
        json_pack("{s:o}", "url", json_sprintf("%s/login?link=%s", r->app->urls.site, secret)));
}
