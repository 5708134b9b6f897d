/* git over HTTP: http://HOST/spaces/OWNER/NAME, with or without ".git" (gitprotocol-http(5)), and
 * Git LFS's batch API (git-lfs docs/api). The name in the path may end with ".git" in each. */
#pragma once

#include "webui/http.h"
#include "webui/view.h"

/* git_http.c */
enum MHD_Result git_info_refs(struct req *r);
enum MHD_Result git_upload_pack(struct req *r);
/* The Space of the path, less ".git"; as reach_files. */
bool git_space(struct req *r, struct view *ret, enum MHD_Result *answer);

/* git_push.c */
enum MHD_Result git_receive_pack(struct req *r);

/* git_lfs.c */
enum MHD_Result git_lfs_batch(struct req *r);
enum MHD_Result git_lfs_get(struct req *r);
enum MHD_Result git_lfs_put(struct req *r);
enum MHD_Result git_lfs_verify(struct req *r);
enum MHD_Result git_lfs_locks(struct req *r);
