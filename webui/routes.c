/* Every address of the site: who may ask, what its body is, who answers. */
#include "webui/api.h"
#include "webui/http.h"
#include "webui/pages.h"
#include "webui/statics.h"

#define SPACE "/api/spaces/:owner/:name"
#define PAGE "/spaces/:owner/:name"
#define ADMIN ROUTE_ADMIN
#define CHANGES (ROUTE_ADMIN | ROUTE_CHANGES)

const struct route routes[] = {
    /* pages */
    {"GET", "/", 0, BODY_NONE, page_gallery},
    {"GET", "/spaces", 0, BODY_NONE, page_gallery},
    {"GET", PAGE, 0, BODY_NONE, page_space},
    {"GET", PAGE "/delete", ADMIN, BODY_NONE, page_delete},
    {"GET", PAGE "/limits", ADMIN, BODY_NONE, page_limits},
    {"POST", PAGE "/limits", CHANGES, BODY_SMALL, page_limits_post},
    {"GET", "/submit", ADMIN, BODY_NONE, page_submit},
    {"POST", "/submit", CHANGES, BODY_FORM, page_submit_post},
    {"GET", "/admin", ADMIN, BODY_NONE, page_admin},
    {"GET", "/login", 0, BODY_NONE, page_login},
    {"POST", "/login", ROUTE_CHANGES, BODY_SMALL, page_login_post},
    {"POST", "/logout", ROUTE_CHANGES, BODY_NONE, page_logout},
    {"GET", "/static/:what", 0, BODY_NONE, static_get},
    {"GET", "/favicon.ico", 0, BODY_NONE, static_favicon},
    {"GET", "/robots.txt", 0, BODY_NONE, static_robots},

    /* forms of the pages */
    {"POST", PAGE "/start", CHANGES, BODY_NONE, api_space_start},
    {"POST", PAGE "/stop", CHANGES, BODY_NONE, api_space_stop},
    {"POST", PAGE "/restart", CHANGES, BODY_NONE, api_space_restart},
    {"POST", PAGE "/pause", CHANGES, BODY_NONE, api_space_pause},
    {"POST", PAGE "/resume", CHANGES, BODY_NONE, api_space_resume},
    {"POST", PAGE "/delete", CHANGES, BODY_NONE, api_space_delete},

    /* API */
    {"GET", "/healthz", 0, BODY_NONE, api_health},
    {"GET", "/api/whoami-v2", ADMIN, BODY_NONE, api_whoami},
    {"GET", "/api/spaces", 0, BODY_NONE, api_spaces_list},
    {"GET", SPACE, 0, BODY_NONE, api_space_get},
    {"DELETE", SPACE, CHANGES, BODY_NONE, api_space_delete},
    {"GET", SPACE "/runtime", 0, BODY_NONE, api_space_runtime},
    {"PUT", SPACE "/bundle", CHANGES, BODY_ARCHIVE, api_space_bundle},
    {"POST", SPACE "/start", CHANGES, BODY_NONE, api_space_start},
    {"POST", SPACE "/stop", CHANGES, BODY_NONE, api_space_stop},
    {"POST", SPACE "/restart", CHANGES, BODY_NONE, api_space_restart},
    {"POST", SPACE "/pause", CHANGES, BODY_NONE, api_space_pause},
    {"POST", SPACE "/resume", CHANGES, BODY_NONE, api_space_resume},
    {"GET", SPACE "/limits", ADMIN, BODY_NONE, api_space_limits},
    {"POST", SPACE "/limits", CHANGES, BODY_SMALL, api_space_set_limits},
    {"GET", SPACE "/logs/:what", ADMIN, BODY_NONE, api_logs},
    {"GET", SPACE "/events", 0, BODY_NONE, api_space_events},
    {"GET", "/api/admin/workers", ADMIN, BODY_NONE, api_admin_workers},
    {"GET", "/api/admin/workers/stream", ADMIN, BODY_NONE, api_admin_workers_stream},
    {"GET", "/api/admin/events", ADMIN, BODY_NONE, api_admin_events},
    {"POST", "/api/admin/login-link", CHANGES, BODY_NONE, api_admin_login_link},
    {0},
};
