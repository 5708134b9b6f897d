/* The pages that people see. */
#pragma once

#include "webui/http.h"
#include "webui/tpl.h"

enum MHD_Result page_gallery(struct req *r);
enum MHD_Result page_space(struct req *r);
enum MHD_Result page_delete(struct req *r); /* asks before a deletion, where there are no scripts */
/* page_files.c, page_history.c */
enum MHD_Result page_files(struct req *r); /* ?rev=, the path behind it */
enum MHD_Result page_raw(struct req *r);
enum MHD_Result page_history(struct req *r);
enum MHD_Result page_commit(struct req *r);
enum MHD_Result page_limits(struct req *r);
enum MHD_Result page_limits_post(struct req *r);
enum MHD_Result page_settings(struct req *r);
enum MHD_Result page_settings_post(struct req *r); /* "secrets" or "variables" */
enum MHD_Result page_data(struct req *r);
enum MHD_Result page_data_post(struct req *r); /* path: deletes it */
enum MHD_Result page_thumbnail(struct req *r);
enum MHD_Result page_visit(struct req *r);
enum MHD_Result page_submit(struct req *r);
enum MHD_Result page_submit_post(struct req *r);
enum MHD_Result page_admin(struct req *r);
enum MHD_Result page_login(struct req *r);
enum MHD_Result page_login_post(struct req *r);
enum MHD_Result page_logout(struct req *r);

enum MHD_Result page_error(struct req *r, unsigned status, const char *message);
/* For a page that needs the administrator: the way to the login form and back. */
enum MHD_Result page_login_first(struct req *r);

/* Puts a page's content into the frame that all have; `script` is a file of webui/static, or "";
 * `here` the menu's entry ("gallery", ...). */
enum MHD_Result page_send(struct req *r, unsigned status, const char *title, const char *here,
                          const char *script, struct buf *content, const char *frame_src);
/* Renders one template as the content of a page. */
enum MHD_Result page_render(struct req *r, unsigned status, const char *title, const char *here,
                            const char *script, const char *template, const struct tpl_var *vars,
                            const char *frame_src);
#define PAGE_MAX (8 << 20)
