#include "runner/build_own.h"

#include "common/cleanup.h"
#include "common/conf.h"
#include "common/util.h"
#include "runner/build_index.h"
#include "runner/build_models.h"
#include "runner/environment.h"
#include "runner/runner.h"
#include "runner/space.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define CARD_MAX (1 << 20)

/* What the submitter writes without quotes is a number: 4.0, 3.10. */
static void copy_version(json_t *card, const char *key, char *out, size_t size)
{
    json_t *v = json_object_get(card, key);
    out[0] = 0;
    if (json_is_string(v))
        snprintf(out, size, "%s", json_string_value(v));
    else if (json_is_integer(v))
        snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_real(v))
        snprintf(out, size, "%.15g", json_real_value(v));
    if (strspn(out, "0123456789.abcdefghijklmnopqrstuvwxyz+-!") != strlen(out) ||
        (out[0] && (out[0] < '0' || out[0] > '9')))
        out[0] = 0; /* no version; the card's check says so */
}

static void add(struct build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct build *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (b->added < BUILD_ADD_MAX)
        vsnprintf(b->add[b->added++], sizeof(b->add[0]), fmt, ap);
    va_end(ap);
}

/* What an old SDK does not say that it needs, since it was not known then. */
static void add_old_bounds(struct build *b)
{
    int major = 0, minor = 0;
    if (strcmp(b->version.sdk, "gradio") != 0 ||
        sscanf(b->sdk_version, "%d.%d", &major, &minor) < 1)
        return;
    if (major < 5 || (major == 5 && minor < 50))
        add(b, "huggingface_hub<1");
    if (major < 5)
        add(b, "pydantic<2.11");
    if (major < 4)
        add(b, "starlette<0.47");
}

bool build_card_asks(struct runner *r, uint64_t space_id, const struct version *v)
{
    _cleanup_buf_ struct buf text = BUF_INIT(CARD_MAX);
    return site_card(r, space_id, v->id, &text, NULL) == 1 && text.len &&
           (strstr(text.data, "\"app_build_command\"") ||
            strstr(text.data, "\"preload_from_hub\""));
}

void build_read_card(struct build *b)
{
    _cleanup_buf_ struct buf text = BUF_INIT(CARD_MAX);
    if (site_card(b->r, b->space->id, b->version.id, &text, NULL) != 1)
        return;
    json_t *card = json_loads(text.data ? text.data : "", 0, NULL);
    copy_version(card, "sdk_version", b->sdk_version, sizeof(b->sdk_version));
    copy_version(card, "python_version", b->python_version, sizeof(b->python_version));
    const char *command = json_string_value(json_object_get(card, "app_build_command"));
    if (command && strlen(command) >= sizeof(b->command))
        build_fail(b, "README.md: app_build_command is too long; put it into a script");
    else if (command)
        snprintf(b->command, sizeof(b->command), "%s", command);
    build_models_read_card(b, card);
    json_decref(card);
}

int build_read_variables(struct build *b, bool tell)
{
    _cleanup_buf_ struct buf given = BUF_INIT(65536), left_out = BUF_INIT(65536);
    struct err err = {0};
    if (environment_of_build(b->r, b->space->id, b->variables, &given, &left_out, &err) < 0) {
        build_fail(b, err.msg);
        return -err.code;
    }
    if (tell && given.len)
        build_say(b, "resolve", "with the variables %.800s", given.data);
    if (tell && left_out.len)
        build_say(b, "resolve", "without the variables %.600s, which would steer the build itself",
                  left_out.data);
    return 0;
}

static int copy_text(json_t *o, const char *key, char *out, size_t size)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (!s || strlen(s) >= size)
        return -EPROTO;
    snprintf(out, size, "%s", s);
    return 0;
}

int build_read_plan(struct build *b, const char *json, char *warning, size_t size)
{
    json_t *o = json_loads(json, 0, NULL);
    int n = copy_text(o, "digest", b->digest, sizeof(b->digest));
    if (n == 0)
        n = copy_text(o, "debs", b->debs_digest, sizeof(b->debs_digest));
    if (n == 0)
        n = copy_text(o, "python", b->python, sizeof(b->python));
    if (n == 0)
        n = copy_text(o, "python_id", b->python_id, sizeof(b->python_id));
    if (n == 0)
        n = copy_text(o, "base", b->base, sizeof(b->base));
    if (n == 0)
        n = copy_text(o, "warning", warning, size);
    if (n == 0 && b->python[0] != '/')
        n = -EPROTO;
    b->has_files =
        json_is_true(json_object_get(o, "pre")) || json_is_true(json_object_get(o, "main"));
    b->bound = json_is_true(json_object_get(o, "bound"));
    b->pins_sdk = json_is_true(json_object_get(o, "pins_sdk"));
    json_decref(o);
    if (n < 0)
        return n;
    if (strcmp(b->version.sdk, "gradio") == 0 && !b->pins_sdk)
        add(b, b->sdk_version[0] ? "gradio[oauth,mcp]==%s" : "gradio[oauth,mcp]%s", b->sdk_version);
    if (strcmp(b->version.sdk, "streamlit") == 0 && !b->pins_sdk)
        add(b, b->sdk_version[0] ? "streamlit==%s" : "streamlit%s", b->sdk_version);
    if (!b->pins_sdk)
        add_old_bounds(b);
    return 0;
}

bool build_needs_env(const struct build *b)
{
    return b->has_files || b->added;
}

static void begin_key(const struct build *b, const char *what, struct buf *text)
{
    buf_printf(text, "%s %s\nroot %s\nbase %s\npython %s %s\n", what, BUILD_VERSION,
               conf_of(b->r)->sandbox_root, b->base, b->python, b->python_id);
}

bool build_is_npm(const struct build *b)
{
    return strcmp(b->version.sdk, "node") == 0 || b->command[0];
}

void build_make_request(struct build *b)
{
    _cleanup_buf_ struct buf text = BUF_INIT(65536);
    begin_key(b, "request", &text);
    buf_printf(&text, "owner %s\nfiles %s\ndebs %s\nsdk %s\nbuild %s\n", b->space->owner, b->digest,
               b->debs_digest, build_is_npm(b) ? b->version.sdk : "", b->command);
    if (b->bound)
        buf_printf(&text, "tree %s\nspace %" PRIu64 "\n", b->version.sha,
                   build_is_npm(b) ? b->space->id : 0);
    if (b->variables[0])
        buf_printf(&text, "variables %s\n", b->variables);
    for (unsigned i = 0; i < b->added; i++)
        buf_printf(&text, "add %s\n", b->add[i]);
    build_index_identity(b->r, &text);
    sha256_hex(text.data ? text.data : "", text.len, b->request);
}

void build_make_key(struct build *b)
{
    _cleanup_buf_ struct buf text = BUF_INIT(b->lock.len + 65536);
    begin_key(b, lock_kind_name(b->kind), &text);
    if (b->kind != LOCK_SHARED)
        buf_printf(&text, "owner %s\n", b->space->owner);
    if (b->kind != LOCK_SHARED && b->layer[0])
        buf_printf(&text, "layer %s\n", b->layer);
    if (b->kind != LOCK_SHARED && b->variables[0])
        buf_printf(&text, "variables %s\n", b->variables);
    if (b->kind == LOCK_BOUND)
        buf_printf(&text, "tree %s\n", b->version.sha);
    if (b->kind == LOCK_BOUND && build_is_npm(b)) /* its files are the worker's own: its uid's */
        buf_printf(&text, "space %" PRIu64 "\n", b->space->id);
    for (unsigned i = 0; b->kind == LOCK_BOUND && i < b->added; i++)
        buf_printf(&text, "add %s\n", b->add[i]);
    if (b->lock.len)
        buf_append(&text, b->lock.data, b->lock.len);
    sha256_hex(text.data ? text.data : "", text.len, b->key);
}
