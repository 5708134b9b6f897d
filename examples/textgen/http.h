/* As much HTTP as a demo needs: a request's head, its parameters. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_request {
    bool head_only, post;
    bool keep_alive;
    char path[128];
    const char *query; /* parameters of the address; not terminated */
    size_t query_len;
    const char *body; /* parameters of a form; not terminated */
    size_t body_len;
};

/* Parses the first request in `data`. Bytes that it takes, body included; 0 while it is not whole;
 * -1 where it is none, or one that is too long. */
long http_parse(const char *data, size_t len, struct http_request *ret);

/* The decoded value of a parameter, from the form or the address; false where it is in neither. Cut
 * to what `out` holds. */
bool http_param(const struct http_request *req, const char *name, char *out, size_t size);
