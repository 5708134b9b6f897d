/* Every address of the site: who may ask, what its body is, who answers. */
#include "webui/api.h"
#include "webui/git_http.h"
#include "webui/http.h"
#include "webui/pages.h"
#include "webui/statics.h"

#define SPACE "/api/spaces/:owner/:name"
#define PAGE "/spaces/:owner/:name"
#define ADMIN ROUTE_ADMIN
#define CHANGES (ROUTE_ADMIN | ROUTE_CHANGES)
#define READ ROUTE_READ
#define WRITE (ROUTE_WRITE | ROUTE_CHANGES)
#define OWNER (ROUTE_OWNER | ROUTE_CHANGES)
#define LOGIN (ROUTE_LOGIN | ROUTE_CHANGES)
#define DISCUSSION SPACE "/discussions/:what"

const struct route routes[] = {
    /* pages */
    {"GET", "/", 0, BODY_NONE, page_gallery},
    {"GET", "/spaces", 0, BODY_NONE, page_gallery},
    {"GET", PAGE, 0, BODY_NONE, page_space},
    {"GET", PAGE "/delete", ADMIN, BODY_NONE, page_delete},
    {"GET", PAGE "/files", 0, BODY_NONE, page_files},
    {"GET", PAGE "/files/*", 0, BODY_NONE, page_files},
    {"GET", PAGE "/raw/*", 0, BODY_NONE, page_raw},
    {"GET", PAGE "/history", 0, BODY_NONE, page_history},
    {"GET", PAGE "/commit/:what", 0, BODY_NONE, page_commit},
    {"POST", PAGE "/rollback", WRITE, BODY_SMALL, api_space_rollback},
    {"GET", PAGE "/limits", ADMIN, BODY_NONE, page_limits},
    {"POST", PAGE "/limits", CHANGES, BODY_SMALL, page_limits_post},
    {"GET", PAGE "/settings", ROUTE_WRITE, BODY_NONE, page_settings},
    {"POST", PAGE "/settings/:what", WRITE, BODY_SMALL, page_settings_post},
    {"GET", PAGE "/thumbnail", 0, BODY_NONE, page_thumbnail},
    {"GET", PAGE "/data", ROUTE_WRITE, BODY_NONE, page_data},
    {"POST", PAGE "/data", WRITE, BODY_SMALL, page_data_post},
    {"GET", PAGE "/data/file", ROUTE_WRITE, BODY_NONE, api_data_file},
    {"GET", "/visit/:what", 0, BODY_NONE, page_visit},
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
    {"POST", PAGE "/start", WRITE, BODY_NONE, api_space_start},
    {"POST", PAGE "/stop", WRITE, BODY_NONE, api_space_stop},
    {"POST", PAGE "/restart", WRITE, BODY_NONE, api_space_restart},
    {"POST", PAGE "/pause", WRITE, BODY_NONE, api_space_pause},
    {"POST", PAGE "/resume", WRITE, BODY_NONE, api_space_resume},
    {"POST", PAGE "/cancel", WRITE, BODY_NONE, api_space_cancel},
    {"POST", PAGE "/delete", WRITE, BODY_NONE, api_space_delete},

    /* git and Git LFS */
    {"GET", PAGE "/info/refs", ROUTE_GIT, BODY_NONE, git_info_refs},
    {"POST", PAGE "/git-upload-pack", ROUTE_GIT, BODY_LARGE, git_upload_pack},
    {"POST", PAGE "/git-receive-pack", WRITE | ROUTE_GIT, BODY_LARGE, git_receive_pack},
    {"POST", PAGE "/info/lfs/objects/batch", ROUTE_GIT, BODY_JSON, git_lfs_batch},
    {"POST", PAGE "/info/lfs/objects/verify", WRITE | ROUTE_GIT, BODY_SMALL, git_lfs_verify},
    {"GET", PAGE "/info/lfs/objects/:what", ROUTE_GIT | ROUTE_SIGNED, BODY_NONE, git_lfs_get},
    {"PUT", PAGE "/info/lfs/objects/:what", WRITE | ROUTE_GIT | ROUTE_SIGNED, BODY_LARGE,
     git_lfs_put},
    {"GET", PAGE "/info/lfs/locks", ROUTE_GIT, BODY_NONE, git_lfs_locks},
    {"POST", PAGE "/info/lfs/locks", ROUTE_GIT, BODY_SMALL, git_lfs_locks},
    {"POST", PAGE "/info/lfs/locks/verify", ROUTE_GIT, BODY_SMALL, git_lfs_locks},

    /* API */
    {"GET", "/healthz", 0, BODY_NONE, api_health},
    {"GET", "/api/whoami-v2", ROUTE_LOGIN, BODY_NONE, api_whoami},
    {"GET", "/api/spaces", 0, BODY_NONE, api_spaces_list},
    {"GET", "/api/spaces/hardware", 0, BODY_NONE, api_hardware},
    {"GET", SPACE, 0, BODY_NONE, api_space_get},
    {"DELETE", SPACE, WRITE, BODY_NONE, api_space_delete},
    {"GET", SPACE "/runtime", 0, BODY_NONE, api_space_runtime},
    {"POST", SPACE "/uploads", WRITE, BODY_NONE, api_upload_new},
    {"GET", SPACE "/uploads/:what", WRITE, BODY_NONE, api_upload_get},
    {"PATCH", SPACE "/uploads/:what", WRITE, BODY_PART, api_upload_patch},
    {"PUT", SPACE "/bundle", WRITE, BODY_ARCHIVE, api_space_bundle},
    {"GET", SPACE "/versions", 0, BODY_NONE, api_space_versions},
    {"POST", SPACE "/rollback", WRITE, BODY_SMALL, api_space_rollback},
    {"POST", SPACE "/start", WRITE, BODY_NONE, api_space_start},
    {"POST", SPACE "/stop", WRITE, BODY_NONE, api_space_stop},
    {"POST", SPACE "/restart", WRITE, BODY_NONE, api_space_restart},
    {"POST", SPACE "/pause", WRITE, BODY_NONE, api_space_pause},
    {"POST", SPACE "/resume", WRITE, BODY_NONE, api_space_resume},
    {"POST", SPACE "/cancel", WRITE, BODY_NONE, api_space_cancel},
    {"GET", SPACE "/limits", READ, BODY_NONE, api_space_limits},
    {"POST", SPACE "/limits", CHANGES, BODY_SMALL, api_space_set_limits},
    {"GET", SPACE "/data", ROUTE_WRITE, BODY_NONE, api_data},
    {"DELETE", SPACE "/data", WRITE, BODY_NONE, api_data_delete},
    {"GET", SPACE "/data/file", ROUTE_WRITE, BODY_NONE, api_data_file},
    {"POST", SPACE "/hardware", WRITE, BODY_SMALL, api_space_hardware},
    {"PUT", SPACE "/settings", WRITE, BODY_SMALL, api_space_settings},
    {"GET", SPACE "/secrets", ROUTE_WRITE, BODY_NONE, api_secrets},
    {"POST", SPACE "/secrets", WRITE, BODY_SMALL, api_secret_set},
    {"DELETE", SPACE "/secrets", WRITE, BODY_SMALL, api_secret_delete},
    {"GET", SPACE "/variables", 0, BODY_NONE, api_variables},
    {"POST", SPACE "/variables", WRITE, BODY_SMALL, api_variable_set},
    {"DELETE", SPACE "/variables", WRITE, BODY_SMALL, api_variable_delete},
    {"GET", SPACE "/logs/:what", READ, BODY_NONE, api_logs},
    {"GET", SPACE "/events", 0, BODY_NONE, api_space_events},
    {"GET", "/api/admin/workers", ADMIN, BODY_NONE, api_admin_workers},
    {"GET", "/api/admin/workers/stream", ADMIN, BODY_NONE, api_admin_workers_stream},
    {"GET", "/api/admin/events", ADMIN, BODY_NONE, api_admin_events},
    {"POST", "/api/admin/login-link", CHANGES, BODY_NONE, api_admin_login_link},

    /* as huggingface_hub asks */
    {"POST", "/api/repos/create", LOGIN, BODY_JSON, api_repo_create},
    {"DELETE", "/api/repos/delete", LOGIN, BODY_SMALL, api_repo_delete},
    {"POST", "/api/repos/move", LOGIN, BODY_SMALL, api_repo_move},
    {"POST", SPACE "/sleeptime", WRITE, BODY_SMALL, api_space_sleep},
    {"POST", SPACE "/like", LOGIN, BODY_NONE, api_space_like},
    {"DELETE", SPACE "/like", LOGIN, BODY_NONE, api_space_like},
    {"GET", SPACE "/likers", 0, BODY_NONE, api_space_likers},
    {"GET", SPACE "/discussions", 0, BODY_NONE, api_discussions},
    {"POST", SPACE "/discussions", LOGIN, BODY_JSON, api_discussion_open},
    {"GET", DISCUSSION, 0, BODY_NONE, api_discussion},
    {"POST", DISCUSSION "/comment", LOGIN, BODY_JSON, api_discussion_comment},
    {"POST", DISCUSSION "/comment/*", LOGIN, BODY_JSON, api_discussion_edit},
    {"POST", DISCUSSION "/title", LOGIN, BODY_SMALL, api_discussion_title},
    {"POST", DISCUSSION "/status", LOGIN, BODY_JSON, api_discussion_status},
    {"POST", DISCUSSION "/merge", LOGIN, BODY_JSON, api_discussion_merge},
    {"GET", SPACE "/revision/:what", 0, BODY_NONE, api_space_revision},
    {"GET", SPACE "/tree/:what", 0, BODY_NONE, api_tree},
    {"GET", SPACE "/tree/:what/*", 0, BODY_NONE, api_tree},
    {"POST", SPACE "/paths-info/:what", 0, BODY_JSON, api_paths_info},
    {"GET", SPACE "/refs", 0, BODY_NONE, api_refs},
    {"GET", SPACE "/commits/:what", 0, BODY_NONE, api_commits},
    {"POST", SPACE "/branch/:what", WRITE, BODY_SMALL, api_branch},
    {"DELETE", SPACE "/branch/:what", WRITE, BODY_SMALL, api_branch},
    {"POST", SPACE "/tag/:what", WRITE, BODY_SMALL, api_tag},
    {"DELETE", SPACE "/tag/:what", WRITE, BODY_SMALL, api_tag},
    {"POST", SPACE "/preupload/:what", WRITE, BODY_JSON, api_preupload},
    {"POST", SPACE "/commit/:what", WRITE, BODY_LARGE, api_commit},
    {"POST", "/api/validate-yaml", LOGIN, BODY_JSON, api_validate_yaml},
    {"GET", SPACE "/xet-write-token/:what", 0, BODY_NONE, api_no_xet},
    {"GET", PAGE "/resolve/:what/*", 0, BODY_NONE, api_resolve},

    /* owners */
    {"GET", "/api/admin/users", ADMIN, BODY_NONE, api_admin_users},
    {"POST", "/api/admin/users", CHANGES, BODY_SMALL, api_admin_user_add},
    {"DELETE", "/api/admin/users/:name", CHANGES, BODY_NONE, api_admin_user_delete},
    {"GET", "/api/admin/tokens", ADMIN, BODY_NONE, api_admin_tokens},
    {"POST", "/api/admin/tokens", CHANGES, BODY_SMALL, api_admin_token_new},
    {"DELETE", "/api/admin/tokens/:what", CHANGES, BODY_NONE, api_admin_token_revoke},
    {"GET", "/api/organizations/:owner", READ, BODY_NONE, api_members},
    {"PUT", "/api/organizations/:owner/members/:name", OWNER, BODY_SMALL, api_member_set},
    {"DELETE", "/api/organizations/:owner/members/:name", OWNER, BODY_NONE, api_member_set},
    {0},
};
