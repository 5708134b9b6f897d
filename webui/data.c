/* What a Space keeps in /data, for who may write to the Space. A demo made all of it: names are
 * only text, and files leave as attachments that no browser opens as a page of ours. */
#include "webui/api.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "webui/limits.h"
#include "webui/pages.h"
#include "webui/range.h"
#include "webui/reach.h"
#include "webui/repo.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (64 * 1024)
#define STALL_MS 30000
#define PATH_SIZE 4096

/* ?path=, without slashes at its ends; "" where there is none. */
static const char *path_of(struct req *r, char out[PATH_SIZE])
{
    const char *path = req_query(r, "path");
    path = path ? path + strspn(path, "/") : "";
    snprintf(out, PATH_SIZE, "%s", path);
    for (size_t len = strlen(out); len && out[len - 1] == '/';)
        out[--len] = 0;
    return out;
}

static int add_encoded(struct buf *out, const char *text)
{
    int r = 0;
    for (const unsigned char *p = (const unsigned char *)text; r >= 0 && *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr("-_./", *p);
        r = buf_printf(out, plain ? "%c" : "%%%02X", *p);
    }
    return r < 0 ? r : 0;
}

enum MHD_Result api_data(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    char path[PATH_SIZE];
    json_t *o = NULL;
    if (!reach_space(r, &v, &answer))
        return answer;
    if (repo_data_list(r->app, &v.space, path_of(r, path), &o, &err) < 0)
        return req_fail(r, &err);
    json_t *used = limits_data_json(r->app, &v);
    if (used)
        json_object_set_new(o, "used", used);
    return req_json(r, 200, o);
}

enum MHD_Result api_data_delete(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    char path[PATH_SIZE];
    if (!reach_space(r, &v, &answer))
        return answer;
    if (repo_data_delete(r->app, &v.space, path_of(r, path), &err) < 0)
        return req_fail(r, &err);
    return req_json(r, 200, json_pack("{s:b}", "ok", 1));
}

/* ---- a file ---- */

static ssize_t give(void *arg, uint64_t at, char *out, size_t max)
{
    struct repo_file *f = arg;
    struct pollfd p = {f->fd, POLLIN, 0};
    (void)at;
    ssize_t n = poll(&p, 1, STALL_MS) > 0 ? read(f->fd, out, max) : -1;
    /* fewer bytes than were promised: the connection ends, and whoever reads it notices */
    return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void give_up(void *arg)
{
    repo_file_close(arg);
    free(arg);
}

enum MHD_Result api_data_file(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    char path[PATH_SIZE];
    _cleanup_buf_ struct buf disposition = BUF_INIT(16384);
    if (!reach_space(r, &v, &answer))
        return answer;
    struct repo_file *f = calloc(1, sizeof *f);
    if (!f)
        return MHD_NO;
    *f = REPO_FILE_NONE;
    struct range range = {.length = UINT64_MAX};
    int n = 0;
    if (range_is_asked(r)) {
        n = repo_data_file(r->app, &v.space, path_of(r, path), 0, 0, f, &err);
        uint64_t size = f->size;
        repo_file_close(f);
        if (n == 0 && !range_of(r, size, NULL, &range)) {
            free(f);
            return range_refuse(r, size);
        }
    }
    if (n == 0)
        n = repo_data_file(r->app, &v.space, path_of(r, path), range.offset, range.length, f, &err);
    if (n == 0 && range.asked && f->length != range.length) { /* the demo cut it meanwhile */
        repo_file_close(f);
        n = err_set(&err, EAGAIN, "the file is changing: try again");
    }
    if (n < 0) {
        free(f);
        return req_fail(r, &err);
    }
    const char *slash = strrchr(path, '/');
    struct MHD_Response *response =
        MHD_create_response_from_callback(f->length, CHUNK, give, f, give_up);
    if (!response) {
        give_up(f);
        return MHD_NO;
    }
    if (buf_puts(&disposition, "attachment; filename*=UTF-8''") == 0 &&
        add_encoded(&disposition, slash ? slash + 1 : path) == 0)
        MHD_add_response_header(response, "Content-Disposition", disposition.data);
    else
        MHD_add_response_header(response, "Content-Disposition", "attachment");
    MHD_add_response_header(response, "Content-Type", "application/octet-stream");
    range_headers(response, &range, f->size);
    return req_queue(r, range_status(&range), response,
                     "default-src 'none'; sandbox; frame-ancestors 'none'");
}

/* ---- the page ---- */

/* `full_enc` is the entry's whole path, encoded for an address. */
static int row(struct buf *out, const struct view *v, const char *folder_enc, const json_t *o,
               struct err *err)
{
    _cleanup_buf_ struct buf full = BUF_INIT(16384);
    const char *type = json_string_value(json_object_get(o, "type"));
    const char *enc = json_string_value(json_object_get(o, "enc"));
    char size[32] = "", at[32];
    if (!type || !enc || buf_printf(&full, "%s%s%s", folder_enc, *folder_enc ? "/" : "", enc) < 0)
        return 0;
    if (strcmp(type, "file") == 0)
        format_bytes((uint64_t)json_integer_value(json_object_get(o, "size")), size);
    snprintf(at, sizeof at, "%.16s", json_string_value(json_object_get(o, "modified")));
    if (strlen(at) > 10)
        at[10] = ' ';
    const struct tpl_var vars[] = {{"full", v->space.full},
                                   {"name", json_string_value(json_object_get(o, "name"))},
                                   {"path", full.data},
                                   {"type", type},
                                   {"folder", strcmp(type, "directory") == 0 ? "1" : ""},
                                   {"file", strcmp(type, "file") == 0 ? "1" : ""},
                                   {"size", size},
                                   {"at", at},
                                   {0}};
    return tpl_render(out, "data_row.html", vars, err);
}

static enum MHD_Result show(struct req *r, unsigned status, const struct view *v, const char *path,
                            const char *problem)
{
    struct err err = {0};
    _cleanup_buf_ struct buf rows = BUF_INIT(PAGE_MAX / 2);
    _cleanup_buf_ struct buf enc = BUF_INIT(16384);
    _cleanup_buf_ struct buf up = BUF_INIT(16384);
    json_t *list = NULL, *o;
    size_t i;
    int res = repo_data_list(r->app, &v->space, path, &list, &err);
    if (res == 0 && add_encoded(&enc, path) < 0)
        res = err_set(&err, EINVAL, "the path is too long");
    json_array_foreach(json_object_get(list, "entries"), i, o)
    {
        if (res == 0)
            res = row(&rows, v, enc.data ? enc.data : "", o, &err);
    }
    if (res < 0) {
        json_decref(list);
        return req_fail(r, &err);
    }
    const char *slash = enc.data ? strrchr(enc.data, '/') : NULL;
    if (slash)
        (void)buf_append(&up, enc.data, (size_t)(slash - enc.data));
    json_t *used = limits_data_json(r->app, v);
    const struct tpl_var vars[] = {{"full", v->space.full},
                                   {"title", v->title},
                                   {"problem", problem},
                                   {"path", json_string_value(json_object_get(list, "path"))},
                                   {"up", up.data},
                                   {"used", json_string_value(json_object_get(used, "text"))},
                                   {"rows", rows.data},
                                   {"more", json_is_true(json_object_get(list, "more")) ? "1" : ""},
                                   {0}};
    enum MHD_Result answer = page_render(r, status, "/data", "", "", "data.html", vars, "");
    json_decref(list);
    json_decref(used);
    return answer;
}

enum MHD_Result page_data(struct req *r)
{
    struct view v;
    enum MHD_Result answer;
    char path[PATH_SIZE];
    return reach_space(r, &v, &answer) ? show(r, 200, &v, path_of(r, path), "") : answer;
}

/* The field has the path as the page had it: encoded. */
static void decode(char *text)
{
    char *out = text;
    for (const char *p = text; *p; p++) {
        unsigned byte;
        if (p[0] == '%' && p[1] && p[2] && sscanf(p + 1, "%2x", &byte) == 1 && byte) {
            *out++ = (char)byte;
            p += 2;
        } else {
            *out++ = *p;
        }
    }
    *out = 0;
}

enum MHD_Result page_data_post(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    char path[PATH_SIZE];
    _cleanup_buf_ struct buf place = BUF_INIT(16384);
    if (!reach_space(r, &v, &answer))
        return answer;
    if (!req_field(r, "path", path, sizeof path) || !*path)
        return req_error(r, 400, "name what is to be deleted");
    decode(path);
    int res = repo_data_delete(r->app, &v.space, path, &err);
    char *slash = strrchr(path, '/');
    *(slash ? slash : path) = 0;
    if (res < 0)
        return err.internal || http_status_of(&err) == 500
                   ? req_fail(r, &err)
                   : show(r, http_status_of(&err), &v, path, err.msg);
    if (buf_printf(&place, "/spaces/%s/data?path=", v.space.full) < 0 ||
        add_encoded(&place, path) < 0)
        return MHD_NO;
    return req_redirect(r, place.data);
}
