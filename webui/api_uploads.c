/* Uploads in several requests (resume.h):
 *   POST  uploads?size=N&key=HEX   {"id", "offset", "size"}
 *   GET   uploads/ID               the same; HEAD: Upload-Offset alone
 *   PATCH uploads/ID               Upload-Offset: N, and what begins there
 *   PUT   bundle?upload=ID         an upload that is whole, in place of a body */
#include "webui/api.h"
#include "webui/http.h"
#include "webui/resume.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void upload_whose(const struct req *r, struct resume_whose *ret)
{
    snprintf(ret->text, sizeof(ret->text), "%s %s/%s", auth_name(r), r->owner, r->name);
}

static bool number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = text ? strtoull(text, &end, 10) : 0;
    return text && *text >= '0' && *text <= '9' && !*end && !errno;
}

static enum MHD_Result answer(struct req *r, const char *id, uint64_t offset, uint64_t size)
{
    char text[24];
    json_t *body = json_pack("{s:s, s:I, s:I}", "id", id, "offset", (json_int_t)offset, "size",
                             (json_int_t)size);
    char *json = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    struct MHD_Response *response =
        json ? MHD_create_response_from_buffer(strlen(json), json, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response) {
        free(json);
        return MHD_NO;
    }
    snprintf(text, sizeof(text), "%" PRIu64, offset);
    MHD_add_response_header(response, "Upload-Offset", text);
    MHD_add_response_header(response, "Content-Type", "application/json");
    return req_queue(r, 200, response, "default-src 'none'; frame-ancestors 'none'");
}

int api_upload_take(struct req *r, int *ret_fd, struct err *err)
{
    struct resume_whose whose;
    const char *id = req_query(r, "upload");
    if (!id)
        return 0;
    upload_whose(r, &whose);
    int n = resume_take(r->app->resume, &whose, id, ret_fd, err);
    return n < 0 ? n : 1;
}

enum MHD_Result api_upload_new(struct req *r)
{
    struct resume_whose whose;
    struct err err = {0};
    char id[RESUME_ID];
    const char *key = req_query(r, "key");
    uint64_t size, offset;
    upload_whose(r, &whose);
    if (!number(req_query(r, "size"), &size))
        return req_error(r, 400, "say how many bytes it is to have: ?size=N");
    if (resume_begin(r->app->resume, &whose, size, key ? key : "", id, &offset, &err) < 0)
        return req_fail(r, &err);
    return answer(r, id, offset, size);
}

enum MHD_Result api_upload_get(struct req *r)
{
    struct resume_whose whose;
    struct err err = {0};
    uint64_t size, offset;
    upload_whose(r, &whose);
    if (resume_look(r->app->resume, &whose, r->what, &offset, &size, &err) < 0)
        return req_fail(r, &err);
    return answer(r, r->what, offset, size);
}

/* Before the body: where it goes. */
int api_upload_begin(struct req *r, struct err *err)
{
    struct resume_whose whose;
    uint64_t offset;
    upload_whose(r, &whose);
    if (!number(req_header(r, "Upload-Offset"), &offset))
        return err_set(err, EINVAL, "say where it goes on: Upload-Offset: N");
    return resume_open(r->app->resume, &whose, r->what, offset, &r->resume, err);
}

enum MHD_Result api_upload_patch(struct req *r)
{
    resume_close(r->resume); /* before the answer, so that the next request finds it free */
    r->resume = NULL;
    return api_upload_get(r);
}
