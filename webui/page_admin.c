#include "webui/pages.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/api.h"
#include "webui/parts.h"

#include <stdio.h>
#include <string.h>

#define EVENTS_SHOWN 40

static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static uint64_t number_at(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 ? (uint64_t)n : 0;
}

/* With NULL the row that the script copies for new ones. */
static int worker_row(struct buf *out, const json_t *w, struct err *err)
{
    _cleanup_buf_ struct buf actions = BUF_INIT(PAGE_MAX / 8);
    char memory[32], limit[32], uptime[32], used[32], max[32], requests[32], restarts[32], cpu[32],
        id[32];
    const char *full = text_at(w, "space");
    int r = part_actions(&actions, full, err);
    if (r < 0)
        return r;
    format_bytes(number_at(w, "memory_bytes"), memory);
    format_bytes(number_at(w, "memory_limit_bytes"), limit);
    text_duration(number_at(w, "uptime_ms"), uptime);
    snprintf(used, sizeof used, "%llu", (unsigned long long)number_at(w, "memory_bytes"));
    snprintf(max, sizeof max, "%llu", (unsigned long long)number_at(w, "memory_limit_bytes"));
    snprintf(requests, sizeof requests, "%llu", (unsigned long long)number_at(w, "requests"));
    snprintf(restarts, sizeof restarts, "%llu", (unsigned long long)number_at(w, "restarts"));
    snprintf(cpu, sizeof cpu, "%.1f %%", json_number_value(json_object_get(w, "cpu_percent")));
    snprintf(id, sizeof id, "%llu", (unsigned long long)number_at(w, "worker_id"));
    const struct tpl_var vars[] = {
        {"id", id},
        {"full", full},
        {"title", text_at(w, "title")},
        {"memory", memory},
        {"limit", limit},
        {"used", used},
        {"max", max},
        {"cpu", cpu},
        {"uptime", uptime},
        {"requests", requests},
        {"restarts", restarts},
        {"state", text_at(w, "state")},
        {"gpus", text_at(w, "gpus")},
        {"stage", text_at(w, "stage")},
        {"actions", actions.data},
        {0},
    };
    return tpl_render(out, "admin_worker.html", vars, err);
}

static int space_row(struct buf *out, const json_t *s, struct err *err)
{
    _cleanup_buf_ struct buf actions = BUF_INIT(PAGE_MAX / 8);
    const char *full = text_at(s, "id");
    int r = part_actions(&actions, full, err);
    if (r < 0)
        return r;
    const struct tpl_var vars[] = {{"full", full},
                                   {"title", text_at(s, "title")},
                                   {"emoji", *text_at(s, "emoji") ? text_at(s, "emoji") : "◆"},
                                   {"stage", text_at(s, "stage")},
                                   {"word", text_at(s, "word")},
                                   {"class", text_at(s, "class")},
                                   {"reason", text_at(s, "reason")},
                                   {"actions", actions.data},
                                   {0}};
    return tpl_render(out, "admin_space.html", vars, err);
}

static int event_row(struct buf *out, const json_t *e, struct err *err)
{
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)number_at(e, "id"));
    const struct tpl_var vars[] = {{"id", id},
                                   {"at", text_at(e, "at")},
                                   {"space", text_at(e, "space")},
                                   {"event", text_at(e, "event")},
                                   {"detail", text_at(e, "detail")},
                                   {0}};
    return tpl_render(out, "admin_event.html", vars, err);
}

static int rows(struct buf *out, const json_t *list,
                int (*row)(struct buf *, const json_t *, struct err *), struct err *err)
{
    size_t i;
    json_t *item;
    int r = 0;
    json_array_foreach((json_t *)list, i, item) if (r == 0) r = row(out, item, err);
    return r;
}

static int render(struct req *r, const json_t *snapshot, const json_t *events, enum MHD_Result *ret,
                  struct err *err)
{
    const json_t *workers = json_object_get(snapshot, "workers");
    const json_t *spaces = json_object_get(snapshot, "spaces");
    _cleanup_buf_ struct buf worker_rows = BUF_INIT(PAGE_MAX / 4);
    _cleanup_buf_ struct buf space_rows = BUF_INIT(PAGE_MAX / 4);
    _cleanup_buf_ struct buf event_rows = BUF_INIT(PAGE_MAX / 4);
    _cleanup_buf_ struct buf blank_worker = BUF_INIT(PAGE_MAX / 8);
    _cleanup_buf_ struct buf blank_space = BUF_INIT(PAGE_MAX / 8);
    _cleanup_buf_ struct buf blank_event = BUF_INIT(PAGE_MAX / 8);
    int res = rows(&worker_rows, workers, worker_row, err);
    if (res == 0)
        res = rows(&space_rows, spaces, space_row, err);
    if (res == 0)
        res = rows(&event_rows, events, event_row, err);
    if (res == 0)
        res = worker_row(&blank_worker, NULL, err);
    if (res == 0)
        res = space_row(&blank_space, NULL, err);
    if (res == 0)
        res = event_row(&blank_event, NULL, err);
    if (res < 0)
        return res;
    const struct tpl_var vars[] = {{"workers", worker_rows.data},
                                   {"spaces", space_rows.data},
                                   {"events", event_rows.data},
                                   {"blank_worker", blank_worker.data},
                                   {"blank_space", blank_space.data},
                                   {"blank_event", blank_event.data},
                                   {0}};
    *ret = page_render(r, 200, "Admin", "admin", "admin.js", "admin.html", vars, "");
    return 0;
}

enum MHD_Result page_admin(struct req *r)
{
    json_t *snapshot = api_admin_snapshot(r->app);
    json_t *events = life_events(r->app->life, 0, EVENTS_SHOWN);
    struct err err = {0};
    enum MHD_Result answer = MHD_NO;
    int res = render(r, snapshot, events, &answer, &err);
    json_decref(snapshot);
    json_decref(events);
    return res < 0 ? req_fail(r, &err) : answer;
}
