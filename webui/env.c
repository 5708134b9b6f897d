#include "webui/env.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/sealed.h"
#include "common/space_env.h"
#include "common/utf8.h"
#include "common/util.h"
#include "webui/site_env.h"
#include "webui/submit.h"
#include "webui/view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_utf8(const char *text)
{
    for (size_t n; *text; text += n)
        if ((n = utf8_len(text)) == 0)
            return false;
    return true;
}

int env_set(struct app *app, int64_t space_id, bool secret, const char *name, const char *value,
            const char *description, char warning[200], struct err *err)
{
    if (warning)
        warning[0] = 0;
    int r = space_env_check_name(name, err);
    if (r < 0)
        return r;
    if (description && strlen(description) >= SPACE_ENV_DESCRIPTION)
        return err_set(err, EINVAL, "the description of %s is too long: %d bytes are the most",
                       name, SPACE_ENV_DESCRIPTION - 1);
    size_t len = strlen(value);
    if (!is_utf8(value)) /* a form may send what JSON could not show */
        return err_set(err, EINVAL,
                       "the value of %s is no text in UTF-8: keep other data in a file", name);
    if (len > SPACE_ENV_BYTES)
        return err_set(err, EINVAL,
                       "the value of %s has %zu bytes: secrets and variables of a Space may take "
                       "%d together; keep large data in a file",
                       name, len, SPACE_ENV_BYTES);
    if (secret && warning && len > 0 && len < SPACE_ENV_BLANKED)
        snprintf(warning, 200,
                 "the value of %.100s has %zu characters: so short ones are not blanked in logs",
                 name, len);
    _cleanup_free_ char *sealed = NULL;
    if (secret &&
        (r = sealed_make(app->box_pub, (uint64_t)space_id, name, value, &sealed, err)) < 0)
        return r;
    return site_env_set(app->site, space_id, secret, name, secret ? sealed : value, len,
                        description, err);
}

int env_delete(struct app *app, int64_t space_id, bool secret, const char *name, struct err *err)
{
    int r = site_env_delete(app->site, space_id, secret, name, err);
    return r != 0 ? (r < 0 ? r : 0)
                  : err_set(err, ENOENT, "there is no %s %.*s", secret ? "secret" : "variable",
                            SPACE_ENV_NAME, name);
}

static int set_list(struct app *app, int64_t space_id, bool secret, const json_t *list,
                    struct err *err)
{
    const char *what = secret ? "secrets" : "variables";
    size_t i;
    json_t *o;
    int r = 0;
    if (list && !json_is_null(list) && !json_is_array(list))
        return err_set(err, EINVAL, "%s is no list of {key, value}", what);
    json_array_foreach(list, i, o)
    {
        const char *key = json_string_value(json_object_get(o, "key"));
        const char *value = json_string_value(json_object_get(o, "value"));
        if (!key || !value)
            return err_set(err, EINVAL, "%s: each needs a key and a value, which are texts", what);
        r = env_set(app, space_id, secret, key, value,
                    json_string_value(json_object_get(o, "description")), NULL, err);
        if (r < 0)
            break;
    }
    return r;
}

int env_set_all(struct app *app, int64_t space_id, const json_t *secrets, const json_t *variables,
                struct err *err)
{
    int r = set_list(app, space_id, true, secrets, err);
    return r < 0 ? r : set_list(app, space_id, false, variables, err);
}

static bool has_key(const json_t *list, const char *name)
{
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o)
    {
        const char *key = json_string_value(json_object_get(o, "key"));
        if (key && strcmp(key, name) == 0)
            return true;
    }
    return false;
}

int env_copy(struct app *app, int64_t from_id, int64_t to_id, const json_t *secrets,
             struct err *err)
{
    _cleanup_envs_ struct site_envs l = {0};
    int r = site_env_list(app->site, from_id, false, &l, err);
    for (size_t i = 0; r == 0 && i < l.n; i++)
        if (!has_key(secrets, l.rows[i].name))
            r = env_set(app, to_id, false, l.rows[i].name, l.rows[i].value, l.rows[i].description,
                        NULL, err);
    return r;
}

json_t *env_json(struct app *app, int64_t space_id, bool secrets, struct err *err)
{
    _cleanup_envs_ struct site_envs l = {0};
    if (site_env_list(app->site, space_id, secrets, &l, err) < 0)
        return NULL;
    json_t *out = json_object();
    for (size_t i = 0; i < l.n; i++) {
        const struct site_env *e = &l.rows[i];
        char at[25];
        time_iso((uint64_t)e->updated_ms, at);
        json_t *o = json_pack("{s:s, s:s, s:s}", "key", e->name, "description", e->description,
                              "updatedAt", at);
        if (!secrets)
            json_object_set_new(o, "value", json_string(e->value));
        json_object_set_new(out, e->name, o);
    }
    return out;
}

/* npm, or a command of the card, makes it: what its variables say may be in what it made. */
static bool is_made(struct app *app, const struct space *space)
{
    _cleanup_free_ char *readme = NULL, *card = NULL;
    if (strcmp(space->sdk, "node") == 0)
        return true;
    return space->version_id &&
           site_version_texts(app->site, space->version_id, &readme, &card, NULL) == 0 && card &&
           strstr(card, "\"app_build_command\"");
}

void env_changed(struct app *app, const struct space *space, bool variable)
{
    static const char *const builds[] = {"BUILD_ERROR", "BUILDING", "SLEEPING", "RUNTIME_ERROR",
                                         "APP_STARTING"};
    struct view v;
    struct err err = {0};
    struct log_ctx ctx = {.space = space->full};
    view_of(app, space, &v);
    bool made = variable && is_made(app, space), wanted = strncmp(v.stage, "RUNNING", 7) == 0;
    for (size_t i = 0; made && !wanted && i < sizeof builds / sizeof *builds; i++)
        wanted = strcmp(v.stage, builds[i]) == 0;
    if (made) {
        if (wanted && submit_command(app, space, "rebuild", &err) < 0)
            log_info(&ctx, "env.rebuild", "%s", err.msg);
        return;
    }
    if (strncmp(v.stage, "RUNNING", 7) != 0 && strcmp(v.stage, "APP_STARTING") != 0 &&
        strcmp(v.stage, "RUNTIME_ERROR") != 0)
        return;
    if (submit_command(app, space, "restart", &err) < 0)
        log_info(&ctx, "env.restart", "%s", err.msg);
}
