#include "webui/git_http.h"

#include "webui/owners.h"
#include "webui/pipe.h"
#include "webui/reach.h"
#include "webui/upload.h"

#include <stdio.h>
#include <string.h>

bool git_space(struct req *r, struct view *ret, enum MHD_Result *answer)
{
    size_t len = strlen(r->name);
    if (len > 4 && strcmp(r->name + len - 4, ".git") == 0)
        r->name[len - 4] = 0;
    return reach_files(r, ret, answer);
}

static enum MHD_Result serve(struct req *r, const struct space *space, const struct link_arg *args,
                             int fd, const char *type)
{
    struct link_job_ask ask = {.kind = JOB_SERVE, .space = space, .args = args, .body_fd = fd};
    struct link_job *job;
    struct err err = {0};
    if (link_job_begin(r->app->link, &ask, &job, &err) < 0)
        return req_fail(r, &err);
    return pipe_answer(r, job, type);
}

enum MHD_Result git_info_refs(struct req *r)
{
    const char *service = req_query(r, "service");
    bool pushes = service && strcmp(service, "git-receive-pack") == 0;
    enum MHD_Result answer;
    struct view v;
    char type[80], why[512];
    if (!service || (!pushes && strcmp(service, "git-upload-pack") != 0))
        return req_error(r, 403,
                         "this server speaks git's smart protocol only: use git 1.6.6 or newer");
    if (pushes && !auth_may(r, r->owner, MAY_WRITE)) {
        auth_why_not(r, r->owner, MAY_WRITE, why, sizeof why);
        return req_error(r, *auth_name(r) ? 403 : 401, "%s", why);
    }
    if (!git_space(r, &v, &answer))
        return answer;
    snprintf(type, sizeof type, "application/x-%s-advertisement", service);
    const struct link_arg args[] = {{"what", "advertise"},
                                    {"service", service},
                                    {"protocol", pushes ? NULL : req_header(r, "Git-Protocol")},
                                    {0}};
    return serve(r, &v.space, args, -1, type);
}

enum MHD_Result git_upload_pack(struct req *r)
{
    enum MHD_Result answer;
    struct view v;
    if (!git_space(r, &v, &answer))
        return answer;
    const struct link_arg args[] = {{"what", "upload-pack"},
                                    {"protocol", req_header(r, "Git-Protocol")},
                                    {"encoding", req_header(r, "Content-Encoding")},
                                    {0}};
    return serve(r, &v.space, args, upload_fd(r->upload), "application/x-git-upload-pack-result");
}
