/* The files that are compiled in: templates, style, scripts, icon. */
#pragma once

#include "webui/http.h"

/* A template's text, or NULL. */
const char *static_page(const char *name);

/* "/static/site.css?v=0123456789ab": changes with the content, so browsers may keep it for ever. */
int static_address(const char *name, char *out, size_t size, struct err *err);

enum MHD_Result static_get(struct req *r); /* GET /static/:what */
enum MHD_Result static_favicon(struct req *r);
enum MHD_Result static_robots(struct req *r);
