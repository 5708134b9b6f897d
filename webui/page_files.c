/* The files of a Space: folders, text files shown, everything to download. What is in a file is a
 * stranger's: it is shown as escaped text, and sent as what no browser runs here. */
#include "webui/pages.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "common/utf8.h"
#include "webui/parts.h"
#include "webui/pipe.h"
#include "webui/range.h"
#include "webui/reach.h"
#include "webui/repo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX (256 * 1024)
#define ROWS_MAX 1000
/* A page of its own origin, without scripts or anything else, were it ever shown. */
#define CSP_RAW "default-src 'none'; sandbox; frame-ancestors 'none'"

/* The path as a part of an address. */
static int add_path(struct buf *out, const char *path)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    int r = 0;
    for (const unsigned char *p = (const unsigned char *)path; *p && r == 0; p++)
        r = strchr(plain, *p) ? buf_append(out, p, 1) : buf_printf(out, "%%%02X", *p);
    return r;
}

/* "/spaces/O/N/WHAT/PATH?rev=REV" */
static int add_address(struct buf *out, const struct view *v, const char *what, const char *path,
                       const char *query)
{
    buf_clear(out);
    int r = buf_printf(out, "/spaces/%s/%s/", v->space.full, what);
    if (r == 0)
        r = add_path(out, path);
    return r < 0 ? r : buf_puts(out, query);
}

/* "?rev=..." where one is asked for. */
static int make_query(struct req *r, struct buf *out)
{
    const char *rev = req_query(r, "rev");
    if (!rev || !*rev)
        return 0;
    int n = buf_puts(out, "?rev=");
    return n < 0 ? n : add_path(out, rev);
}

static const char *rev_of(struct req *r)
{
    const char *rev = req_query(r, "rev");
    return rev && *rev ? rev : "main";
}

/* " / folder / file", each with its link. */
static int make_crumbs(const struct view *v, const char *path, const char *query, struct buf *out)
{
    _cleanup_buf_ struct buf href = BUF_INIT(16384);
    int r = 0;
    for (size_t at = 0; path[at] && r == 0;) {
        size_t len = strcspn(path + at, "/");
        char part[1100], above[1100];
        snprintf(part, sizeof part, "%.*s", (int)len, path + at);
        snprintf(above, sizeof above, "%.*s", (int)(at + len), path);
        r = add_address(&href, v, "files", above, query);
        if (r == 0)
            r = buf_puts(out, " / <a href=\"");
        if (r == 0)
            r = buf_html(out, href.data);
        if (r == 0)
            r = buf_puts(out, "\">");
        if (r == 0)
            r = buf_html(out, part);
        if (r == 0)
            r = buf_puts(out, "</a>");
        at += len + (path[at + len] == '/');
    }
    return r;
}

static int add_row(struct buf *rows, const struct view *v, const json_t *item, const char *query,
                   struct err *err)
{
    _cleanup_buf_ struct buf href = BUF_INIT(16384), raw = BUF_INIT(16384);
    const char *path = json_string_value(json_object_get(item, "path"));
    const char *type = json_string_value(json_object_get(item, "type"));
    char size[32] = "";
    if (!path || !type)
        return err_set(err, EPROTO, "the list of files cannot be read");
    bool folder = strcmp(type, "directory") == 0;
    if (!folder)
        format_bytes((uint64_t)json_integer_value(json_object_get(item, "size")), size);
    if (add_address(&href, v, "files", path, query) < 0 ||
        (!folder && add_address(&raw, v, "raw", path, query) < 0))
        return err_set(err, ENOMEM, "out of memory");
    const char *slash = strrchr(path, '/');
    const struct tpl_var vars[] = {{"folder", folder ? "1" : ""},
                                   {"href", href.data},
                                   {"raw", raw.data},
                                   {"name", slash ? slash + 1 : path},
                                   {"lfs", json_object_get(item, "lfs") ? "1" : ""},
                                   {"size", size},
                                   {0}};
    return tpl_render(rows, "files_row.html", vars, err);
}

/* Folders come first. */
static int make_rows(struct buf *rows, const struct view *v, const json_t *items, const char *query,
                     struct err *err)
{
    size_t i;
    const json_t *item;
    int r = 0;
    for (int folders = 1; folders >= 0; folders--)
        json_array_foreach(items, i, item)
        {
            const char *type = json_string_value(json_object_get(item, "type"));
            if (r == 0 && type && (strcmp(type, "directory") == 0) == folders)
                r = add_row(rows, v, item, query, err);
        }
    return r;
}

static enum MHD_Result show_folder(struct req *r, const struct view *v, const char *path)
{
    _cleanup_buf_ struct buf rows = BUF_INIT(PAGE_MAX / 2), crumbs = BUF_INIT(65536),
                             query = BUF_INIT(4096);
    struct err err = {0};
    json_t *tree = NULL, *commit = NULL;
    char short_sha[13];
    if (make_query(r, &query) < 0 ||
        make_crumbs(v, path, query.data ? query.data : "", &crumbs) < 0)
        return req_error(r, 414, "the path is too long");
    int n = repo_tree(r->app, &v->space, rev_of(r), path, false, 0, ROWS_MAX, &tree, &err);
    if (n == 0)
        n = repo_resolve(r->app, &v->space, rev_of(r), &commit, &err);
    if (n == 0)
        n = make_rows(&rows, v, json_object_get(tree, "items"), query.data ? query.data : "", &err);
    const char *sha = json_string_value(json_object_get(tree, "sha"));
    snprintf(short_sha, sizeof short_sha, "%s", sha ? sha : "");
    const struct tpl_var vars[] = {{"title", v->title},
                                   {"full", v->space.full},
                                   {"name", v->space.name},
                                   {"query", query.data},
                                   {"crumbs", crumbs.data},
                                   {"sha", sha},
                                   {"short", short_sha},
                                   {"subject", json_string_value(json_object_get(commit, "title"))},
                                   {"rows", rows.data},
                                   {"more", json_is_true(json_object_get(tree, "more")) ? "1" : ""},
                                   {"page", v->page},
                                   {"site", r->app->urls.site},
                                   {0}};
    enum MHD_Result res =
        n < 0 ? req_fail(r, &err) : page_render(r, 200, v->title, "", "", "files.html", vars, "");
    json_decref(tree);
    json_decref(commit);
    return res;
}

static bool is_text(const struct buf *b)
{
    for (size_t i = 0; i < b->len;) {
        size_t n = utf8_len(b->data + i);
        if (n == 0 || n > b->len - i)
            return false;
        i += n;
    }
    return true;
}

static enum MHD_Result show_file(struct req *r, const struct view *v, const char *path,
                                 const json_t *item)
{
    _cleanup_buf_ struct buf text = BUF_INIT(SHOWN_MAX), crumbs = BUF_INIT(65536),
                             query = BUF_INIT(4096), raw = BUF_INIT(16384);
    struct err err = {0};
    char size[32];
    const char *why = "";
    uint64_t bytes = (uint64_t)json_integer_value(json_object_get(item, "size"));
    if (make_query(r, &query) < 0 ||
        make_crumbs(v, path, query.data ? query.data : "", &crumbs) < 0 ||
        add_address(&raw, v, "raw", path, query.data ? query.data : "") < 0)
        return req_error(r, 414, "the path is too long");
    if (bytes > SHOWN_MAX)
        why = "It is too long to be shown here.";
    else if (repo_file_read(r->app, &v->space, rev_of(r), path, &text, &err) < 0)
        return req_fail(r, &err);
    if (!*why && !is_text(&text)) {
        buf_clear(&text);
        why = "It is no text.";
    } else if (!*why && !text.len) {
        why = "It is empty.";
    }
    format_bytes(bytes, size);
    const struct tpl_var vars[] = {{"title", v->title},
                                   {"full", v->space.full},
                                   {"name", v->space.name},
                                   {"query", query.data},
                                   {"crumbs", crumbs.data},
                                   {"size", size},
                                   {"lfs", json_object_get(item, "lfs") ? "1" : ""},
                                   {"raw", raw.data},
                                   {"text", text.len ? text.data : ""},
                                   {"why", why},
                                   {0}};
    return page_render(r, 200, path, "", "", "file.html", vars, "");
}

enum MHD_Result page_files(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    json_t *found = NULL;
    if (!reach_files(r, &v, &answer))
        return answer;
    if (!*r->rest)
        return show_folder(r, &v, "");
    json_t *paths = json_pack("[s]", r->rest);
    int n = paths ? repo_paths(r->app, &v.space, rev_of(r), paths, &found, &err)
                  : err_set(&err, EINVAL, "a path is UTF-8");
    json_decref(paths);
    if (n < 0)
        return req_fail(r, &err);
    const json_t *item = json_array_get(json_object_get(found, "items"), 0);
    const char *type = json_string_value(json_object_get(item, "type"));
    const char *path = json_string_value(json_object_get(item, "path"));
    if (!type || !path)
        answer = req_error(r, 404, "there is no file %s", r->rest);
    else if (strcmp(type, "directory") == 0)
        answer = show_folder(r, &v, path);
    else
        answer = show_file(r, &v, path, item);
    json_decref(found);
    return answer;
}

static void etag_of(const struct repo_file *f, char out[80])
{
    snprintf(out, 80, "\"%.64s\"", *f->lfs ? f->lfs : f->oid);
}

enum MHD_Result page_raw(struct req *r)
{
    _cleanup_buf_ struct buf disposition = BUF_INIT(8192);
    struct repo_file f = REPO_FILE_NONE;
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_files(r, &v, &answer))
        return answer;
    const char *slash = strrchr(r->rest, '/');
    /* RFC 6266, with the name as RFC 8187 writes it */
    if (buf_puts(&disposition, "attachment; filename*=UTF-8''") < 0 ||
        add_path(&disposition, slash ? slash + 1 : r->rest) < 0)
        return req_error(r, 414, "the path is too long");
    struct range range = {.length = UINT64_MAX};
    char commit[65] = "", etag[80];
    if (range_is_asked(r)) {
        if (repo_file(r->app, &v.space, rev_of(r), r->rest, 0, 0, &f, &err) < 0)
            return req_fail(r, &err);
        uint64_t size = f.size;
        etag_of(&f, etag);
        snprintf(commit, sizeof commit, "%s", f.commit); /* the branch may move */
        repo_file_close(&f);
        if (!range_of(r, size, etag, &range))
            return range_refuse(r, size);
    }
    if (repo_file(r->app, &v.space, *commit ? commit : rev_of(r), r->rest, range.offset,
                  range.length, &f, &err) < 0)
        return req_fail(r, &err);
    uint64_t size = f.size;
    etag_of(&f, etag);
    struct MHD_Response *response = pipe_file(&f);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "ETag", etag);
    range_headers(response, &range, size);
    MHD_add_response_header(response, "Content-Type", "application/octet-stream");
    MHD_add_response_header(response, "Content-Disposition", disposition.data);
    return req_queue(r, range_status(&range), response, CSP_RAW);
}
