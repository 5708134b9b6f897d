#include "webui/pages.h"

#include "common/util.h"
#include "webui/form.h"
#include "webui/parts.h"
#include "webui/submit.h"

#include <stdio.h>

static enum MHD_Result submit_page(struct req *r, unsigned status, const char *owner,
                                   const char *name, const char *problem)
{
    char limit[32], files[32];
    format_bytes(r->app->conf->upload_max_archive, limit);
    snprintf(files, sizeof files, "%llu", (unsigned long long)r->app->conf->upload_max_files);
    const struct tpl_var vars[] = {{"owner", owner},
                                   {"name", name},
                                   {"problem", problem},
                                   {"limit", limit},
                                   {"files", files},
                                   {"site", r->app->urls.site},
                                   {0}};
    return page_render(r, status, "Submit", "submit", "submit.js", "submit.html", vars, "");
}

enum MHD_Result page_submit(struct req *r)
{
    return submit_page(r, 200, req_query(r, "owner"), req_query(r, "name"), "");
}

enum MHD_Result page_submit_post(struct req *r)
{
    struct err err = {0};
    struct form_bundle form = {.fd = -1};
    struct submit_result result;
    int res = form_finish(r->form, &form, &err);
    struct submit_bundle bundle = {.owner = form.owner,
                                   .name = form.name,
                                   .filename = form.filename,
                                   .message = "submitted on the site",
                                   .author = auth_name(r),
                                   .fd = form.fd};
    if (res == 0)
        res = submit_run(r->app, &bundle, &result, &err);
    if (res < 0) {
        unsigned status = http_status_of(&err);
        return status == 500 || err.internal || req_wants_json(r)
                   ? req_fail(r, &err)
                   : submit_page(r, status, form.owner, form.name, err.msg);
    }
    struct view v;
    view_of(r->app, &result.space, &v);
    if (!req_wants_json(r))
        return req_redirect(r, v.page);
    return req_json(r, 200,
                    json_pack("{s:s, s:s, s:s, s:s}", "id", v.space.full, "url", v.url, "page",
                              v.page, "stage", v.stage));
}
