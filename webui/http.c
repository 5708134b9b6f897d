#include "webui/http.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "webui/api.h"
#include "webui/form.h"
#include "webui/pages.h"
#include "webui/resume.h"
#include "webui/text.h"
#include "webui/upload.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define CSP_API "default-src 'none'; frame-ancestors 'none'"
#define CSP_PAGE                                                                                   \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"               \
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/* ---- what was asked ------------------------------------------------------------------------- */

const char *req_header(struct req *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *req_query(struct req *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

long req_query_number(struct req *r, const char *name, long min, long max, long fallback)
{
    const char *text = req_query(r, name);
    char *end;
    if (!text || !*text)
        return fallback;
    long n = strtol(text, &end, 10);
    return *end || n < min || n > max ? fallback : n;
}

bool req_wants_json(struct req *r)
{
    const char *accept = req_header(r, "Accept");
    return strncmp(r->path, "/api/", 5) == 0 || (accept && strstr(accept, "application/json"));
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF", *p = strchr(digits, c);
    return c && p ? (int)((p - digits) % 16) : -1;
}

bool req_decode(char *out, size_t size, const char *text, size_t len, bool form)
{
    size_t n = 0;
    for (const char *end = text + len; text < end; text++) {
        int high = *text == '%' && end - text > 2 ? hex_digit(text[1]) : -1;
        int low = high >= 0 ? hex_digit(text[2]) : -1;
        if (n + 1 >= size)
            return false;
        out[n++] = low >= 0 ? (char)(high * 16 + low) : form && *text == '+' ? ' ' : *text;
        if (low >= 0)
            text += 2;
    }
    out[n] = 0;
    return strlen(out) == n;
}

bool req_field(struct req *r, const char *name, char *out, size_t size)
{
    const char *p = r->small.data ? r->small.data : "";
    size_t name_len = strlen(name);
    while (strncmp(p, name, name_len) != 0 || p[name_len] != '=') {
        p = strchr(p, '&');
        if (!p)
            return false;
        p++;
    }
    p += name_len + 1;
    return req_decode(out, size, p, strcspn(p, "&"), true);
}

struct next_page {
    struct buf url;
    const char *key; /* which is left out */
};

static enum MHD_Result add_argument(void *cls, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    (void)kind;
    struct next_page *next = cls;
    if (strcmp(key, next->key) == 0)
        return MHD_YES;
    int r = buf_printf(&next->url, "%s=", key);
    for (const char *p = value ? value : ""; r >= 0 && *p; p++)
        r = buf_printf(&next->url, strchr("%&+#<>;\" ", *p) || *p < 0x20 ? "%%%02X" : "%c",
                       (unsigned char)*p);
    return r >= 0 && buf_puts(&next->url, "&") >= 0 ? MHD_YES : MHD_NO;
}

void req_next(struct req *r, const char *key, uint64_t value)
{
    struct next_page next = {BUF_INIT(sizeof r->link - 100), key};
    if (buf_printf(&next.url, "<%s%s?", r->app->urls.site, r->path) >= 0 &&
        MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, add_argument, &next) >= 0 &&
        buf_printf(&next.url, "%s=%llu>; rel=\"next\"", key, (unsigned long long)value) >= 0)
        snprintf(r->link, sizeof r->link, "%s", next.url.data);
    buf_free(&next.url);
}

/* ---- answers -------------------------------------------------------------------------------- */

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

/* What went wrong inside is the operator's to read, not the visitor's. */
static bool is_for_visitors(const struct err *err)
{
    return !err->internal && http_status_of(err) != 500;
}

static const char *sentence_of(const struct err *err)
{
    if (is_for_visitors(err))
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
    if (is_for_visitors(err))
        return req_error(r, status, "%s", err->msg);
    log_error(NULL, "site.error", "%s %s: %s", r->method, r->path, err->msg);
    return req_error(r, status, "%s", sentence_of(err));
}

/* ---- finding the route ---------------------------------------------------------------------- */

/* Does the path match, its :words copied into the request? It is matched as it was sent, since a
 * revision may have a "/" in it, which is sent as %2F. */
static bool route_matches(struct req *r, const char *pattern)
{
    const char *path = r->path;
    while (*pattern) {
        if (*pattern == '*')
            return *path && req_decode(r->rest, sizeof r->rest, path, strlen(path), false);
        if (*pattern != ':') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t word = strcspn(pattern, "/."), len = strcspn(path, "/");
        if (pattern[word] == '.') { /* ":name.git" */
            size_t tail = strcspn(pattern + word, "/");
            if (len <= tail || strncmp(path + len - tail, pattern + word, tail) != 0)
                return false;
            len -= tail;
        }
        char *out = pattern[1] == 'o' ? r->owner : pattern[1] == 'n' ? r->name : r->what;
        size_t size = pattern[1] == 'w' ? sizeof r->what : sizeof r->owner;
        if (len == 0 || !req_decode(out, size, path, len, false))
            return false;
        pattern += word;
        path += len;
    }
    return *path == 0;
}

static void refuse(struct req *r, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void refuse(struct req *r, unsigned status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->early_msg, sizeof r->early_msg, fmt, ap);
    va_end(ap);
    r->early = status;
}

static void find_route(struct req *r, const char *method)
{
    bool head = r->head = strcmp(method, "HEAD") == 0, other_method = false;
    for (const struct route *route = routes; route->pattern; route++) {
        if (!route_matches(r, route->pattern))
            continue;
        if (strcmp(head ? "GET" : method, route->method) == 0) {
            r->route = route;
            r->method = route->method;
            return;
        }
        other_method = true;
    }
    if (other_method)
        refuse(r, 405, "this address does not take %.16s", method);
    else
        refuse(r, 404, "there is no such page");
}

/* ---- bodies --------------------------------------------------------------------------------- */

static size_t body_max(const struct req *r)
{
    return r->route && r->route->body == BODY_JSON ? JSON_BODY_MAX : SMALL_BODY_MAX;
}

static int too_large(const struct req *r, struct err *err)
{
    char limit[32];
    format_bytes(body_max(r), limit);
    return err_set(err, EFBIG, "the request's body may have at most %s", limit);
}

static bool has_body(struct req *r)
{
    const char *length = req_header(r, "Content-Length");
    return (length && strtoull(length, NULL, 10) > 0) || req_header(r, "Transfer-Encoding");
}

static int body_begin(struct req *r, struct err *err)
{
    const char *header = req_header(r, "Content-Length");
    uint64_t length = header ? strtoull(header, NULL, 10) : 0;
    switch (r->route->body) {
    case BODY_ARCHIVE:
        return upload_new(&r->upload, r->app, length, err);
    case BODY_PART:
        return api_upload_begin(r, err);
    case BODY_LARGE:
        return upload_new_large(&r->upload, r->app, length, err);
    case BODY_FORM:
        return form_new(&r->form, r->app, req_header(r, "Content-Type"), length, err);
    default:
        r->small = BUF_INIT(body_max(r));
        return length > body_max(r) ? too_large(r, err) : 0;
    }
}

static int body_data(struct req *r, const char *data, size_t len, struct err *err)
{
    switch (r->route->body) {
    case BODY_ARCHIVE:
    case BODY_LARGE:
        return upload_write(r->upload, data, len, err);
    case BODY_PART:
        return resume_write(r->resume, data, len, err);
    case BODY_FORM:
        return form_data(r->form, data, len, err);
    default:
        return buf_append(&r->small, data, len) < 0 ? too_large(r, err) : 0;
    }
}

/* An answer in the middle of a body: libmicrohttpd would let the visitor send all of it first. So
 * it is written by hand (nothing else was written on this connection for this request), and the
 * connection ends. */
static enum MHD_Result answer_now(struct req *r, const struct err *err)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    unsigned status = http_status_of(err);
    _cleanup_buf_ struct buf body = BUF_INIT(8192);
    _cleanup_buf_ struct buf head = BUF_INIT(16384);
    if (!info || buf_puts(&body, "{\"error\":") < 0 || buf_json(&body, sentence_of(err)) < 0 ||
        buf_puts(&body, "}") < 0 ||
        buf_printf(&head,
                   "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                   "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n%s",
                   status, MHD_get_reason_phrase_for(status), body.len, body.data) < 0)
        return MHD_NO;
    ssize_t sent = send(info->connect_fd, head.data, head.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    log_info(NULL, "site.refused", "%s %s in the middle of its body: %u %s%s", r->method, r->path,
             status, err->msg, sent < 0 ? " (the visitor was gone)" : "");
    return MHD_NO;
}

/* ---- libmicrohttpd's calls ------------------------------------------------------------------ */

void *http_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct req *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->app = cls;
    r->connection = connection;
    r->method = "?";
    r->small = BUF_INIT(SMALL_BODY_MAX);
    size_t len = strcspn(uri, "?");
    if (len >= sizeof r->path)
        refuse(r, 414, "the address is too long");
    else
        memcpy(r->path, uri, len);
    if (strlen(uri + len) < sizeof r->query)
        snprintf(r->query, sizeof r->query, "%s", uri + len);
    return r;
}

static void req_begin(struct req *r, const char *method)
{
    r->begun = true;
    if (!r->early)
        find_route(r, method);
    if (!r->early) /* before a byte of the body is read */
        r->early = auth_check(r, r->early_msg, sizeof r->early_msg);
    struct err err = {0};
    if (!r->early && body_begin(r, &err) < 0) {
        if (!is_for_visitors(&err))
            log_error(NULL, "site.error", "%s %s: %s", method, r->path, err.msg);
        refuse(r, http_status_of(&err), "%s", sentence_of(&err));
    }
}

enum MHD_Result http_access(void *cls, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload_data,
                            size_t *upload_data_size, void **con_cls)
{
    (void)cls;
    (void)connection;
    (void)url;
    (void)version;
    struct req *r = *con_cls;
    if (!r)
        return MHD_NO;
    if (!r->begun) {
        req_begin(r, method);
        /* A refusal must not wait for a body of a gigabyte. */
        return r->early && has_body(r) ? req_error(r, r->early, "%s", r->early_msg) : MHD_YES;
    }
    struct err err = {0};
    if (*upload_data_size) {
        size_t len = *upload_data_size;
        *upload_data_size = 0;
        return r->early || body_data(r, upload_data, len, &err) == 0 ? MHD_YES
                                                                     : answer_now(r, &err);
    }
    if (r->early == 401 && !req_wants_json(r) && !(r->route && r->route->flags & ROUTE_GIT))
        return page_login_first(r);
    if (r->early)
        return req_error(r, r->early, "%s", r->early_msg);
    return r->route->handle(r);
}

void http_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                    enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)connection;
    (void)code;
    struct req *r = *con_cls;
    if (!r)
        return;
    upload_free(r->upload);
    resume_close(r->resume);
    form_free(r->form);
    if (r->small.data) /* it may have been a secret */
        sodium_memzero(r->small.data, r->small.len);
    buf_free(&r->small);
    free(r);
    *con_cls = NULL;
}
