/* The handlers of the JSON API and of the forms that do the same (routes.c says which is where). */
#pragma once

#include "webui/http.h"

enum MHD_Result api_health(struct req *r);
/* api_metrics.c: the counters for Prometheus. For the operator, or ([server] metrics = loopback)
 * for whoever asks from this machine. */
enum MHD_Result api_metrics(struct req *r);

/* api_owners.c */
enum MHD_Result api_whoami(struct req *r);
enum MHD_Result api_admin_users(struct req *r);
enum MHD_Result api_admin_user_add(struct req *r); /* {name, type: "user"|"org"} */
enum MHD_Result api_admin_user_delete(struct req *r);
enum MHD_Result api_members(struct req *r);
enum MHD_Result api_overview(struct req *r);
enum MHD_Result api_org_members(struct req *r);
enum MHD_Result api_member_set(struct req *r); /* {role}; DELETE takes the member away */
enum MHD_Result api_admin_tokens(struct req *r);
enum MHD_Result api_admin_token_new(struct req *r); /* {user, role, name?, days?} */
enum MHD_Result api_admin_token_revoke(struct req *r);

/* api_spaces.c */
enum MHD_Result api_spaces_list(struct req *r);
enum MHD_Result api_spaces_owned(struct req *r);
enum MHD_Result api_auth_check(struct req *r);
enum MHD_Result api_space_get(struct req *r);
enum MHD_Result api_space_revision(struct req *r);
enum MHD_Result api_space_runtime(struct req *r);
enum MHD_Result api_space_bundle(struct req *r);
enum MHD_Result api_upload_new(struct req *r);
enum MHD_Result api_upload_get(struct req *r);
enum MHD_Result api_upload_patch(struct req *r);
/* Before the body of a PATCH: finds what it belongs to (r->resume). */
int api_upload_begin(struct req *r, struct err *err);
/* Takes the upload of "?upload=ID": 1 and its descriptor, 0 where none is named, or negative errno.
 */
int api_upload_take(struct req *r, int *ret_fd, struct err *err);
enum MHD_Result api_space_start(struct req *r);
enum MHD_Result api_space_stop(struct req *r);
enum MHD_Result api_space_restart(struct req *r);
enum MHD_Result api_space_pause(struct req *r);
enum MHD_Result api_space_resume(struct req *r);
enum MHD_Result api_space_cancel(struct req *r);
enum MHD_Result api_space_rebuild(struct req *r);
enum MHD_Result api_space_delete(struct req *r);
/* api_versions.c */
enum MHD_Result api_space_versions(struct req *r);
enum MHD_Result api_space_rollback(struct req *r); /* {version}: a number, or a sha's beginning */
enum MHD_Result api_space_limits(struct req *r);
enum MHD_Result api_space_set_limits(struct req *r); /* name=value&..., value "default" or "" too */
enum MHD_Result api_space_events(struct req *r);     /* server-sent */

/* data.c: /data of a Space; ?path= */
enum MHD_Result api_data(struct req *r);
enum MHD_Result api_data_file(struct req *r);
enum MHD_Result api_data_delete(struct req *r);

/* api_absent.c */
#define API_NO_VOLUMES                                                                             \
    "nothing of a hub can be mounted here: a Space keeps what it wants in /data, and "             \
    "preload_from_hub in README.md brings models"
enum MHD_Result api_templates(struct req *r);
enum MHD_Result api_gpu_quota(struct req *r);
enum MHD_Result api_followers(struct req *r);
enum MHD_Result api_space_volumes(struct req *r);
enum MHD_Result api_space_storage(struct req *r);
enum MHD_Result api_space_dev_mode(struct req *r);
/* hardware.c */
enum MHD_Result api_hardware(struct req *r);
enum MHD_Result api_space_hardware(struct req *r);

/* visits.c */
enum MHD_Result api_space_settings(struct req *r);

/* api_env.c */
enum MHD_Result api_secrets(struct req *r);
enum MHD_Result api_secret_set(struct req *r);
enum MHD_Result api_secret_delete(struct req *r);
enum MHD_Result api_variables(struct req *r);
enum MHD_Result api_variable_set(struct req *r);
enum MHD_Result api_variable_delete(struct req *r);

/* api_repos.c */
enum MHD_Result api_repo_create(struct req *r);
enum MHD_Result api_repo_delete(struct req *r);
enum MHD_Result api_repo_move(struct req *r);
enum MHD_Result api_space_duplicate(struct req *r);
enum MHD_Result api_space_sleep(struct req *r);
enum MHD_Result api_space_like(struct req *r);
enum MHD_Result api_space_likers(struct req *r);
enum MHD_Result api_user_likes(struct req *r);

/* api_discussions.c */
enum MHD_Result api_discussions(struct req *r);
enum MHD_Result api_discussion(struct req *r);
enum MHD_Result api_discussion_open(struct req *r);
enum MHD_Result api_discussion_comment(struct req *r);
enum MHD_Result api_discussion_title(struct req *r);
enum MHD_Result api_discussion_status(struct req *r);
enum MHD_Result api_discussion_merge(struct req *r);
enum MHD_Result api_discussion_edit(struct req *r);

/* api_repo_read.c */
enum MHD_Result api_tree(struct req *r);
enum MHD_Result api_commits(struct req *r);
enum MHD_Result api_refs(struct req *r);
enum MHD_Result api_paths_info(struct req *r);

/* api_repo_write.c */
enum MHD_Result api_branch(struct req *r);
enum MHD_Result api_squash(struct req *r);
enum MHD_Result api_lfs_files(struct req *r);
enum MHD_Result api_lfs_files_delete(struct req *r);
enum MHD_Result api_lfs_files_duplicate(struct req *r);
enum MHD_Result api_tag(struct req *r);
enum MHD_Result api_preupload(struct req *r);
enum MHD_Result api_commit(struct req *r);
enum MHD_Result api_no_xet(struct req *r);
enum MHD_Result api_validate_yaml(struct req *r);

/* api_resolve.c */
enum MHD_Result api_resolve(struct req *r);

/* api_logs.c */
enum MHD_Result api_logs(struct req *r);

/* api_admin.c */
enum MHD_Result api_admin_workers(struct req *r);
enum MHD_Result api_admin_workers_stream(struct req *r);
enum MHD_Result api_admin_events(struct req *r);
enum MHD_Result api_admin_login_link(struct req *r);
/* {"workers": [...], "spaces": [...]}: also what the admin page is made of. */
json_t *api_admin_snapshot(struct app *app);
