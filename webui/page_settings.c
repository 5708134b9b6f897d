/* The settings of a Space: who sees it, its secrets and variables. */
#include "webui/pages.h"

#include "common/cleanup.h"
#include "common/sealed.h"
#include "common/space_env.h"
#include "webui/env.h"
#include "webui/hardware.h"
#include "webui/parts.h"
#include "webui/reach.h"
#include "webui/visits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int env_rows(struct req *r, const struct view *v, bool secrets, struct buf *out,
                    struct err *err)
{
    json_t *all = env_json(r->app, v->space.id, secrets, err), *o;
    const char *key;
    int res = all ? 0 : -EIO;
    json_object_foreach(all, key, o)
    {
        const char *value = json_string_value(json_object_get(o, "value"));
        char at[32];
        snprintf(at, sizeof at, "%.10s", json_string_value(json_object_get(o, "updatedAt")));
        const struct tpl_var vars[] = {
            {"full", v->space.full},
            {"key", key},
            {"what", secrets ? "secret" : "variable"},
            {"secret", secrets ? "1" : ""},
            {"value", value},
            {"description", json_string_value(json_object_get(o, "description"))},
            {"at", at},
            {0}};
        if (res == 0)
            res = tpl_render(out, "settings_env.html", vars, err);
    }
    json_decref(all);
    return res;
}

static const char *is(const struct view *v, const char *visibility)
{
    return strcmp(v->space.visibility, visibility) == 0 ? "1" : "";
}

struct flavour_rows {
    struct req *r;
    const char *chosen;
    struct buf *out;
    struct err *err;
};

static int flavour_row(void *arg, const struct flavour *f)
{
    struct flavour_rows *rows = arg;
    struct space_limits limits;
    char cpu[32], ram[32], gpu[32];
    space_limits_default(&limits, rows->r->app->conf);
    flavour_apply(f, &limits);
    hardware_cpu_text(&limits, cpu);
    hardware_ram_text(&limits, ram);
    hardware_gpu_text(f->gpus, gpu);
    const struct tpl_var vars[] = {{"name", f->name},
                                   {"cpu", cpu},
                                   {"ram", ram},
                                   {"gpu", gpu},
                                   {"chosen", strcmp(f->name, rows->chosen) == 0 ? "1" : ""},
                                   {0}};
    return tpl_render(rows->out, "settings_flavour.html", vars, rows->err);
}

static enum MHD_Result show(struct req *r, unsigned status, const struct view *v,
                            const char *problem, const char *note)
{
    struct err err = {0};
    _cleanup_buf_ struct buf secrets = BUF_INIT(PAGE_MAX / 4);
    _cleanup_buf_ struct buf variables = BUF_INIT(PAGE_MAX / 4);
    _cleanup_buf_ struct buf flavours = BUF_INIT(PAGE_MAX / 4);
    struct flavour flavour;
    struct space_limits limits;
    char hardware_note[200] = "";
    if (!hardware_of(r->app, &v->space, &flavour, &limits))
        snprintf(hardware_note, sizeof hardware_note,
                 "\"%s\" was asked for, and is none of this server's: it has %s, the nearest.",
                 v->space.hardware, flavour.name);
    struct flavour_rows rows = {r, flavour.name, &flavours, &err};
    if (flavours_each(r->app->conf->hardware_flavours, flavour_row, &rows, &err) < 0)
        return req_fail(r, &err);
    if (env_rows(r, v, true, &secrets, &err) < 0 || env_rows(r, v, false, &variables, &err) < 0)
        return req_fail(r, &err);
    const struct tpl_var vars[] = {{"full", v->space.full},
                                   {"title", v->title},
                                   {"problem", problem},
                                   {"note", note},
                                   {"secrets", secrets.data},
                                   {"variables", variables.data},
                                   {"flavours", flavours.data},
                                   {"hardware_note", hardware_note},
                                   {"public", is(v, "public")},
                                   {"private", is(v, "private")},
                                   {"protected", is(v, "protected")},
                                   {0}};
    return page_render(r, status, "Settings", "", "", "settings.html", vars, "");
}

enum MHD_Result page_settings(struct req *r)
{
    struct view v;
    enum MHD_Result answer;
    return reach_space(r, &v, &answer) ? show(r, 200, &v, "", "") : answer;
}

/* A browser sends lines of a text area with CR LF; what was typed had none of the CRs. */
static void plain_lines(char *text)
{
    char *out = text;
    for (const char *p = text; *p; p++)
        if (p[0] != '\r' || p[1] != '\n')
            *out++ = *p;
    *out = 0;
}

static int post_env(struct req *r, const struct view *v, bool secret, char warning[200],
                    struct err *err)
{
    char key[SPACE_ENV_NAME], description[SPACE_ENV_DESCRIPTION] = "", what[16] = "";
    _cleanup_secret_ char *value = calloc(1, SMALL_BODY_MAX + 1);
    if (!value)
        return err_set(err, ENOMEM, "out of memory");
    if (!req_field(r, "key", key, sizeof key))
        return err_set(err, EINVAL, "give it a name of at most %d characters", SPACE_ENV_NAME - 1);
    (void)req_field(r, "do", what, sizeof what);
    if (strcmp(what, "delete") == 0)
        return env_delete(r->app, v->space.id, secret, key, err);
    bool about = req_field(r, "description", description, sizeof description);
    if (!req_field(r, "value", value, SMALL_BODY_MAX + 1))
        return err_set(err, EINVAL, "the value of %s is missing, or has a NUL byte in it", key);
    plain_lines(value);
    return env_set(r->app, v->space.id, secret, key, value,
                   about && *description ? description : NULL, warning, err);
}

enum MHD_Result page_settings_post(struct req *r)
{
    struct err err = {0};
    struct view v;
    char place[600], warning[200] = "";
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    bool secret = strcmp(r->what, "secrets") == 0;
    snprintf(place, sizeof place, "/spaces/%s/settings", v.space.full);
    if (strcmp(r->what, "visibility") == 0) {
        char visibility[16] = "";
        (void)req_field(r, "visibility", visibility, sizeof visibility);
        if (visibility_set(r->app, &v.space, visibility, &err) < 0)
            return req_fail(r, &err);
        return req_redirect(r, place);
    }
    if (strcmp(r->what, "hardware") == 0) {
        char name[FLAVOUR_NAME] = "";
        (void)req_field(r, "flavour", name, sizeof name);
        if (hardware_set(r->app, &v.space, name, &err) < 0)
            return req_fail(r, &err);
        return req_redirect(r, place);
    }
    if (!secret && strcmp(r->what, "variables") != 0)
        return req_error(r, 404, "there is no such setting");
    if (post_env(r, &v, secret, warning, &err) < 0)
        return err.internal || http_status_of(&err) == 500
                   ? req_fail(r, &err)
                   : show(r, http_status_of(&err), &v, err.msg, "");
    env_changed(r->app, &v.space, !secret);
    if (*warning)
        return show(r, 200, &v, "", warning);
    return req_redirect(r, place);
}
