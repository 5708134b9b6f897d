/* P/secrets and P/variables, as huggingface_hub asks for them. */
#include "webui/api.h"

#include "webui/env.h"
#include "webui/reach.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static enum MHD_Result list(struct req *r, bool secrets)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    json_t *o = env_json(r->app, v.space.id, secrets, &err);
    return o ? req_json(r, 200, o) : req_fail(r, &err);
}

/* The body's object, or NULL with err. */
static json_t *body_of(struct req *r, struct err *err)
{
    json_error_t why;
    json_t *o = json_loadb(r->small.data ? r->small.data : "", r->small.len, 0, &why);
    if (json_is_object(o))
        return o;
    err_set(err, EINVAL, "the body is no JSON object with a key%s%s", o ? "" : ": ",
            o ? "" : why.text);
    json_decref(o);
    return NULL;
}

static void forget(json_t *body)
{
    json_t *value = json_object_get(body, "value");
    if (json_is_string(value))
        sodium_memzero((void *)(uintptr_t)json_string_value(value), json_string_length(value));
    json_decref(body);
}

static int set(struct req *r, bool secret, const struct view *v, const json_t *body,
               char warning[200], struct err *err)
{
    const char *key = json_string_value(json_object_get(body, "key"));
    const json_t *value = json_object_get(body, "value");
    const json_t *about = json_object_get(body, "description");
    if (!key)
        return err_set(err, EINVAL, "the body has no \"key\"");
    if (!json_is_string(value))
        return err_set(err, EINVAL, "the body has no \"value\", or one that is no text");
    if (about && !json_is_null(about) && !json_is_string(about))
        return err_set(err, EINVAL, "the \"description\" is no text");
    return env_set(r->app, v->space.id, secret, key, json_string_value(value),
                   json_string_value(about), warning, err);
}

static enum MHD_Result change(struct req *r, bool secret, bool deletes)
{
    struct err err = {0};
    struct view v;
    char warning[200] = "";
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    json_t *body = body_of(r, &err);
    const char *key = json_string_value(json_object_get(body, "key"));
    int res = body ? 0 : -EINVAL;
    if (res == 0 && !deletes)
        res = set(r, secret, &v, body, warning, &err);
    else if (res == 0 && !key)
        res = err_set(&err, EINVAL, "the body has no \"key\"");
    else if (res == 0)
        res = env_delete(r->app, v.space.id, secret, key, &err);
    forget(body);
    if (res < 0)
        return req_fail(r, &err);
    env_changed(r->app, &v.space, !secret);
    if (!secret)
        return list(r, false);
    json_t *o = json_pack("{s:b, s:[]}", "ok", 1, "warnings");
    if (*warning)
        json_array_append_new(json_object_get(o, "warnings"), json_string(warning));
    return req_json(r, 200, o);
}

enum MHD_Result api_secrets(struct req *r)
{
    return list(r, true);
}

enum MHD_Result api_secret_set(struct req *r)
{
    return change(r, true, false);
}

enum MHD_Result api_secret_delete(struct req *r)
{
    return change(r, true, true);
}

enum MHD_Result api_variables(struct req *r)
{
    return list(r, false);
}

enum MHD_Result api_variable_set(struct req *r)
{
    return change(r, false, false);
}

enum MHD_Result api_variable_delete(struct req *r)
{
    return change(r, false, true);
}
