/* Answers: texts, JSON, pages, and what is said of an error. */
#include "webui/http.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "webui/pages.h"
#include "webui/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CSP_API "default-src 'none'; frame-ancestors 'none'"
#define CSP_PAGE                                                                                   \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"               \
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/* huggingface_hub tells errors apart by their code, and shows the message, which is a header's:
 * what none may have in it becomes '?'. */
static void add_error(struct req *r, struct MHD_Response *response)
{
    for (char *p = r->said; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    if (r->error_code)
        MHD_add_response_header(response, "X-Error-Code", r->error_code);
    if (*r->said)
        MHD_add_response_header(response, "X-Error-Message", r->said);
}

enum MHD_Result req_queue(struct req *r, unsigned status, struct MHD_Response *response,
                          const char *csp)
{
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "same-origin");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
    MHD_add_response_header(response, "Content-Security-Policy", csp);
    if (!MHD_get_response_header(response, "Cache-Control"))
        MHD_add_response_header(response, "Cache-Control", "no-store");
    if (status >= 400)
        add_error(r, response);
    if (*r->link)
        MHD_add_response_header(response, "Link", r->link);
    if (*r->cookie)
        MHD_add_response_header(response, "Set-Cookie", r->cookie);
    if (status == 401)
        MHD_add_response_header(response, "WWW-Authenticate",
                                r->route && (r->route->flags & ROUTE_GIT)
                                    ? "Basic realm=\"vitrine: a token is the password\""
                                    : "Bearer realm=\"vitrine\"");
    if (status == 429 || status == 503)
        MHD_add_response_header(response, "Retry-After", status == 429 ? "60" : "5");
    enum MHD_Result res = MHD_queue_response(r->connection, status, response);
    MHD_destroy_response(response);
    return res;
}

static struct MHD_Response *response_of(const char *type, struct buf *body)
{
    static char nothing[1];
    struct MHD_Response *response =
        body->data ? MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE)
                   : MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    if (!response) {
        buf_free(body);
        return NULL;
    }
    *body = BUF_INIT(body->max);
    MHD_add_response_header(response, "Content-Type", type);
    return response;
}

enum MHD_Result req_text(struct req *r, unsigned status, const char *type, struct buf *body)
{
    return req_queue(r, status, response_of(type, body), CSP_API);
}

enum MHD_Result req_picture(struct req *r, const char *type, struct buf *body)
{
    struct MHD_Response *response = response_of(type, body);
    if (response)
        MHD_add_response_header(response, "Cache-Control", "private, max-age=86400");
    return req_queue(r, 200, response, CSP_API);
}

enum MHD_Result req_json(struct req *r, unsigned status, json_t *body)
{
    _cleanup_free_ char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct MHD_Response *response =
        text ? MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY) : NULL;
    json_decref(body);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "application/json");
    return req_queue(r, status, response, CSP_API);
}

enum MHD_Result req_html(struct req *r, unsigned status, struct buf *body, const char *frame_src)
{
    char csp[1024];
    snprintf(csp, sizeof csp, "%s%s%s", CSP_PAGE, *frame_src ? "; frame-src " : "", frame_src);
    struct MHD_Response *response = response_of("text/html; charset=utf-8", body);
    if (response)
        MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    return req_queue(r, status, response, csp);
}

enum MHD_Result req_redirect(struct req *r, const char *location)
{
    struct buf nothing = BUF_INIT(1);
    struct MHD_Response *response = response_of("text/plain", &nothing);
    if (response)
        MHD_add_response_header(response, "Location", location);
    return req_queue(r, 303, response, CSP_API);
}

enum MHD_Result req_moved(struct req *r, const char *location)
{
    struct buf nothing = BUF_INIT(1);
    struct MHD_Response *response = response_of("text/plain", &nothing);
    if (response) {
        MHD_add_response_header(response, "Location", location);
        MHD_add_response_header(response, "Cache-Control", "no-cache");
    }
    return req_queue(r, 307, response, CSP_API);
}

enum MHD_Result req_error(struct req *r, unsigned status, const char *fmt, ...)
{
    char said[1024], message[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(said, sizeof said, fmt, ap);
    va_end(ap);
    text_copy(message, sizeof message, said); /* it may show what was asked for */
    snprintf(r->said, sizeof r->said, "%.511s", message);
    bool git = r->route && (r->route->flags & ROUTE_GIT);
    if (git && strstr(r->path, "/info/lfs/"))
        return req_json(r, status, json_pack("{s:s}", "message", message));
    if (git) { /* which shows a text behind "remote:" */
        struct buf text = BUF_INIT(sizeof message + 1);
        return buf_printf(&text, "%s\n", message) < 0
                   ? MHD_NO
                   : req_text(r, status, "text/plain; charset=utf-8", &text);
    }
    if (!req_wants_json(r))
        return page_error(r, status, message);
    return req_json(r, status, json_pack("{s:s}", "error", message));
}

unsigned http_status_of(const struct err *err)
{
    if (err->internal) /* how the server failed says nothing of what was asked */
        return err->code == ENOSPC ? 507 : err->code == EBUSY ? 503 : 500;
    switch (err->code) {
    case EINVAL:
        return 400;
    case EACCES:
        return 403;
    case ENOENT:
    case ENXIO: /* no such revision */
        return 404;
    case ESTALE: /* somebody else's commit came first */
        return 412;
    case EEXIST:
    case EBUSY:
        return 409;
    case EFBIG:
        return 413;
    case ENOSPC:
    case EDQUOT:
        return 507;
    case EAGAIN:
    case ECANCELED:
        return 503;
    case ETIMEDOUT:
        return 504;
    default:
        return 500;
    }
}

bool http_is_for_visitors(const struct err *err)
{
    return !err->internal && http_status_of(err) != 500;
}

const char *http_sentence_of(const struct err *err)
{
    if (http_is_for_visitors(err))
        return err->msg;
    switch (http_status_of(err)) {
    case 507:
        return "the server's disk is full";
    case 503:
        return "the server is busy: try again in a moment";
    default:
        return "something went wrong on the server; its log says what";
    }
}

enum MHD_Result req_fail(struct req *r, const struct err *err)
{
    unsigned status = http_status_of(err);
    if (http_is_for_visitors(err))
        return req_error(r, status, "%s", err->msg);
    log_error(NULL, "site.error", "%s %s: %s", r->method, r->path, err->msg);
    return req_error(r, status, "%s", http_sentence_of(err));
}
