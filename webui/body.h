/* A small request body that is a JSON object. */
#pragma once

#include "webui/http.h"

static inline void body_cleanup(json_t **j)
{
    json_decref(*j);
}
#define _cleanup_body_ __attribute__((cleanup(body_cleanup)))

/* True with a new object, an empty one where there was no body; else *answer says what is wrong. */
bool body_object(struct req *r, json_t **ret, enum MHD_Result *answer);
/* A string of it; "" where it is missing, null or something else. */
const char *body_text(const json_t *body, const char *key);
