#include "webui/body.h"

bool body_object(struct req *r, json_t **ret, enum MHD_Result *answer)
{
    json_error_t why = {0};
    json_t *body = r->small.len ? json_loadb(r->small.data, r->small.len, 0, &why) : json_object();
    if (json_is_object(body)) {
        *ret = body;
        return true;
    }
    if (body)
        *answer = req_error(r, 400, "the body is JSON, but no object");
    else
        *answer = req_error(r, 400, "the body is no JSON: line %d: %s", why.line, why.text);
    json_decref(body);
    return false;
}

const char *body_text(const json_t *body, const char *key)
{
    const char *text = json_string_value(json_object_get(body, key));
    return text ? text : "";
}
