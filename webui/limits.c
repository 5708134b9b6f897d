#include "webui/limits.h"

#include "common/util.h"
#include "webui/api.h"
#include "webui/hardware.h"
#include "webui/link.h"
#include "webui/pages.h"
#include "webui/parts.h"
#include "webui/reach.h"
#include "webui/stats.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STATS_AGE_MS 5000
#define STATS_WAIT_MS 1500
#define NOTE "a change is effective from the Space's next start on"

static void used_text(enum space_limit which, const struct view *v, const struct stats_worker *st,
                      char out[32])
{
    out[0] = '\0';
    if (which == LIMIT_DATA_SIZE && v->life.data_bytes >= 0)
        format_bytes((uint64_t)v->life.data_bytes, out);
    else if (which == LIMIT_DATA_INODES && v->life.data_inodes >= 0)
        snprintf(out, 32, "%lld", (long long)v->life.data_inodes);
    else if (!st)
        return;
    else if (which == LIMIT_MEMORY)
        format_bytes(st->memory_bytes, out);
    else if (which == LIMIT_PIDS)
        snprintf(out, 32, "%llu", (unsigned long long)st->pids);
    else if (which == LIMIT_CPU)
        snprintf(out, 32, "%.2f", st->cpu_percent / 100);
}

json_t *limits_data_json(struct app *app, const struct view *v)
{
    struct site_limits own;
    struct space_limits given;
    struct flavour flavour;
    if (v->life.data_bytes < 0 || site_limits(app->site, v->space.id, &own, NULL) < 0)
        return NULL;
    (void)hardware_of(app, &v->space, &flavour, &given);
    uint64_t size =
        own.has[LIMIT_DATA_SIZE] ? own.own.v[LIMIT_DATA_SIZE] : given.v[LIMIT_DATA_SIZE];
    char used[32], limit[32], text[160];
    format_bytes((uint64_t)v->life.data_bytes, used);
    format_bytes(size, limit);
    snprintf(text, sizeof text, "%s of %s, %lld files and folders%s", used, limit,
             (long long)v->life.data_inodes,
             strcmp(v->life.data_quota, "soft") == 0 ? " (the limit is soft)" : "");
    return json_pack("{s:I, s:I, s:I, s:s, s:s}", "bytes", (json_int_t)v->life.data_bytes, "inodes",
                     (json_int_t)v->life.data_inodes, "limit_bytes",
                     (json_int_t)(size > INT64_MAX ? INT64_MAX : size), "quota", v->life.data_quota,
                     "text", text);
}

json_t *limits_json(struct app *app, const struct view *v, struct err *err)
{
    struct site_limits own;
    struct space_limits given;
    struct flavour flavour;
    struct stats_worker st;
    if (site_limits(app->site, v->space.id, &own, err) < 0)
        return NULL;
    (void)hardware_of(app, &v->space, &flavour, &given);
    uint64_t worker = (uint64_t)v->life.worker_id;
    if (worker) {
        link_watch(app->link);
        stats_await(app->stats, worker, STATS_AGE_MS, STATS_WAIT_MS);
    }
    bool known = worker && stats_get(app->stats, worker, STATS_AGE_MS, &st);
    json_t *list = json_array();
    for (int i = 0; i < LIMIT_COUNT; i++) {
        enum space_limit which = (enum space_limit)i;
        char fallback[48], value[48], used[32] = "";
        space_limit_text(which, given.v[i], fallback);
        space_limit_text(which, own.has[i] ? own.own.v[i] : given.v[i], value);
        used_text(which, v, known ? &st : NULL, used);
        json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:b}", "name", space_limit_name(which), "about",
                              space_limit_about(which), "default", fallback, "value", value, "own",
                              own.has[i]);
        if (*used)
            json_object_set_new(o, "used", json_string(used));
        json_array_append_new(list, o);
    }
    return json_pack("{s:s, s:o, s:s}", "id", v->space.full, "limits", list, "note", NOTE);
}

static int no_such_limit(const char *name, struct err *err)
{
    char known[400] = "";
    for (int i = 0; i < LIMIT_COUNT; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
                 space_limit_name((enum space_limit)i));
    return err_set(err, EINVAL, "there is no limit \"%s\": %s", name, known);
}

/* A name that is none of ours must not be taken for set. */
static int check_names(const char *body, struct err *err)
{
    for (const char *p = body; p && *p; p = strchr(p, '&')) {
        p += *p == '&';
        char name[40];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p, "=&"), p);
        if (*name && space_limit_find(name) == LIMIT_COUNT)
            return no_such_limit(name, err);
    }
    return 0;
}

int limits_set(struct req *r, const struct view *v, struct err *err)
{
    struct site_limits own;
    int res = check_names(r->small.data, err);
    if (res == 0)
        res = site_limits(r->app->site, v->space.id, &own, err);
    for (int i = 0; res == 0 && i < LIMIT_COUNT; i++) {
        enum space_limit which = (enum space_limit)i;
        char value[48];
        if (!req_field(r, space_limit_name(which), value, sizeof value))
            continue;
        own.has[i] = *value && strcmp(value, "default") != 0;
        if (own.has[i])
            res = space_limit_parse(which, value, &own.own.v[i], err);
    }
    return res < 0 ? res : site_set_limits(r->app->site, v->space.id, &own, err);
}

enum MHD_Result api_space_limits(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    json_t *o = limits_json(r->app, &v, &err);
    return o ? req_json(r, 200, o) : req_fail(r, &err);
}

enum MHD_Result api_space_set_limits(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    return limits_set(r, &v, &err) < 0 ? req_fail(r, &err) : api_space_limits(r);
}

static int row(struct buf *out, const json_t *o, struct err *err)
{
    const char *used = json_string_value(json_object_get(o, "used"));
    bool own = json_is_true(json_object_get(o, "own"));
    const struct tpl_var vars[] = {
        {"name", json_string_value(json_object_get(o, "name"))},
        {"about", json_string_value(json_object_get(o, "about"))},
        {"default", json_string_value(json_object_get(o, "default"))},
        {"own", own ? json_string_value(json_object_get(o, "value")) : ""},
        {"used", used},
        {0}};
    return tpl_render(out, "limits_row.html", vars, err);
}

static enum MHD_Result show(struct req *r, unsigned status, const struct view *v,
                            const char *problem)
{
    struct err err = {0};
    struct buf rows = BUF_INIT(PAGE_MAX / 4);
    json_t *o = limits_json(r->app, v, &err), *item;
    size_t i;
    int res = o ? 0 : -1;
    json_array_foreach(json_object_get(o, "limits"), i, item) if (res == 0) res =
        row(&rows, item, &err);
    json_decref(o);
    enum MHD_Result answer;
    if (res == 0) {
        const struct tpl_var vars[] = {{"full", v->space.full},
                                       {"title", v->title},
                                       {"problem", problem},
                                       {"rows", rows.data},
                                       {0}};
        answer = page_render(r, status, "Limits", "", "", "limits.html", vars, "");
    } else {
        answer = req_fail(r, &err);
    }
    buf_free(&rows);
    return answer;
}

enum MHD_Result page_limits(struct req *r)
{
    struct view v;
    enum MHD_Result answer;
    return reach_space(r, &v, &answer) ? show(r, 200, &v, "") : answer;
}

enum MHD_Result page_limits_post(struct req *r)
{
    struct err err = {0};
    struct view v;
    char place[600];
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    if (limits_set(r, &v, &err) < 0)
        return err.internal || http_status_of(&err) == 500
                   ? req_fail(r, &err)
                   : show(r, http_status_of(&err), &v, err.msg);
    snprintf(place, sizeof place, "/spaces/%s/limits", v.space.full);
    return req_redirect(r, place);
}
