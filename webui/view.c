#include "webui/view.h"

#include "common/flavours.h"
#include "common/util.h"

#include <stdio.h>
#include <string.h>

void view_of(struct app *app, const struct space *space, struct view *ret)
{
    *ret = (struct view){.space = *space};
    life_space(app->life, space->id, &ret->life);
    /* The runner has not taken the deploy command yet, or nothing was ever submitted. */
    const char *stage = space->deleted_ms   ? "DELETING"
                        : *ret->life.stage  ? ret->life.stage
                        : space->version_id ? "BUILDING"
                                            : "NO_APP_FILE";
    snprintf(ret->stage, sizeof ret->stage, "%s", stage);
    if (strcmp(stage, "NO_APP_FILE") == 0 && !*ret->life.reason)
        snprintf(ret->life.reason, sizeof ret->life.reason,
                 "nothing that could run was submitted yet");
    snprintf(ret->title, sizeof ret->title, "%s", *space->title ? space->title : space->name);
    urls_demo(&app->urls, space->label, ret->url);
    urls_page(&app->urls, space->owner, space->name, ret->page);
    ret->sleep_after_ms =
        space->sleep_after_ms ? space->sleep_after_ms : (int64_t)app->conf->lifecycle_sleep_after;
    struct flavour flavour;
    (void)flavour_find(app->conf, space->hardware, &flavour);
    snprintf(ret->hardware, sizeof ret->hardware, "%s", flavour.name);
    ret->gpus = flavour.gpus;
    if (ret->life.worker_version_id)
        (void)site_version_sha(app->site, ret->life.worker_version_id, ret->running_version, NULL);
}

int view_find(struct app *app, const char *owner, const char *name, struct view *ret,
              struct err *err)
{
    struct space space;
    int r = site_find(app->site, owner, name, &space, err);
    if (r == 1)
        view_of(app, &space, ret);
    return r;
}

json_t *view_runtime_json(const struct view *v)
{
    json_t *runtime =
        json_pack("{s:s, s:{s:s, s:s}}", "stage", v->stage, "hardware", "current", v->hardware,
                  "requested", *v->space.hardware ? v->space.hardware : v->hardware);
    if (*v->life.reason)
        json_object_set_new(runtime, "errorMessage", json_string(v->life.reason));
    json_t *more = json_pack("{s:n, s:b, s:s, s:[{s:s, s:s}]}", "storage", "devMode", 0, "sha",
                             *v->running_version ? v->running_version : v->space.sha, "domains",
                             "domain", strstr(v->url, "://") + 3, "stage", "READY");
    json_object_update(runtime, more);
    json_decref(more);
    json_object_set_new(runtime, "gcTimeout",
                        v->sleep_after_ms < 0 ? json_null()
                                              : json_integer(v->sleep_after_ms / 1000));
    return runtime;
}

/* What the card lists under `key`, as an array of strings; one alone may be written without one. */
static json_t *card_list(const json_t *card, const char *key)
{
    json_t *out = json_array(), *found = json_object_get(card, key), *one;
    size_t i;
    if (json_is_string(found))
        json_array_append(out, found);
    json_array_foreach(found, i, one)
    {
        if (json_is_string(one))
            json_array_append(out, one);
    }
    return out;
}

json_t *view_json(const struct view *v, json_t *card)
{
    char created[25], modified[25];
    time_iso((uint64_t)v->space.created_ms, created);
    time_iso((uint64_t)v->space.updated_ms, modified);
    const struct space *s = &v->space;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", s->full, "author",
                          s->owner, "name", s->name, "title", v->title, "emoji", s->emoji,
                          "colorFrom", s->color_from, "colorTo", s->color_to, "short_description",
                          s->short_description, "sdk", s->sdk);
    json_t *more = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:s, s:s, s:s, s:I}", "stage",
        v->stage, "reason", v->life.reason, "url", v->url, "host", v->url, "subdomain", s->label,
        "version", s->sha, "sha", s->sha, "running_version", v->running_version, "versions_count",
        (json_int_t)s->versions_count, "worker_id", (json_int_t)v->life.worker_id, "private",
        strcmp(s->visibility, "private") == 0, "createdAt", created, "lastModified", modified,
        "page", v->page, "likes", (json_int_t)s->likes);
    json_object_update(o, more);
    json_decref(more);
    json_object_set_new(o, "content", json_string(s->content));
    json_object_set_new(o, "visibility", json_string(s->visibility));
    if (*v->life.ran_into)
        json_object_set_new(o, "ran_into", json_string(v->life.ran_into));
    if (*v->life.gpus)
        json_object_set_new(o, "gpus", json_string(v->life.gpus));
    json_object_set_new(o, "runtime", view_runtime_json(v));
    json_t *tags = card_list(card, "tags");
    if (*s->sdk)
        json_array_append_new(tags, json_string(s->sdk));
    json_object_set_new(o, "tags", tags);
    json_object_set_new(o, "models", card_list(card, "models"));
    json_object_set_new(o, "datasets", card_list(card, "datasets"));
    if (card)
        json_object_set_new(o, "cardData", card);
    return o;
}

struct stage_look {
    const char *stage, *word, *class;
    bool shows_demo;
};

static const struct stage_look *look_of(const char *stage)
{
    static const struct stage_look looks[] = {
        {"RUNNING", "Running", "good", true},
        {"RUNNING_BUILDING", "Running, building", "good", true},
        {"RUNNING_APP_STARTING", "Running, updating", "good", true},
        {"BUILDING", "Building", "busy", true},
        {"APP_STARTING", "Starting", "busy", true},
        {"SLEEPING", "Sleeping", "rest", true},
        {"PAUSED", "Paused", "rest", false},
        {"STOPPED", "Stopped", "rest", false},
        {"DELETING", "Being deleted", "rest", false},
        {"NO_APP_FILE", "No app file", "bad", false},
        {"CONFIG_ERROR", "Configuration error", "bad", false},
        {"BUILD_ERROR", "Build error", "bad", false},
        {"RUNTIME_ERROR", "Runtime error", "bad", false},
        {NULL, NULL, "rest", true},
    };
    const struct stage_look *look = looks;
    while (look->stage && strcmp(look->stage, stage) != 0)
        look++;
    return look;
}

const char *stage_word(const char *stage)
{
    const char *word = look_of(stage)->word;
    return word ? word : stage;
}

const char *stage_class(const char *stage)
{
    return look_of(stage)->class;
}

bool stage_shows_demo(const char *stage)
{
    return look_of(stage)->shows_demo;
}
