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
    if (!info || buf_puts(&body, "{\"error\":") < 0 || buf_json(&body, http_sentence_of(err)) < 0 ||
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
        if (!http_is_for_visitors(&err))
            log_error(NULL, "site.error", "%s %s: %s", method, r->path, err.msg);
        refuse(r, http_status_of(&err), "%s", http_sentence_of(&err));
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
