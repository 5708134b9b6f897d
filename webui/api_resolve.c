/* A file of a Space's repository: HEAD says what it is, GET streams it out of a job, whole or a
 * part. It is a stranger's, so a browser saves it and never shows it as a page of the site. */
#include "webui/api.h"

#include "common/cleanup.h"
#include "webui/hubrepo.h"
#include "webui/range.h"
#include "webui/reach.h"
#include "webui/repo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES 65536
#define CSP "default-src 'none'; sandbox; frame-ancestors 'none'"

static ssize_t on_read(void *cls, uint64_t pos, char *out, size_t max)
{
    (void)pos;
    struct repo_file *f = cls;
    ssize_t n = read(f->fd, out, max);
    /* MHD knows the length: an early end is an error. */
    return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void on_free(void *cls)
{
    struct repo_file *f = cls;
    repo_file_close(f);
    free(f);
}

struct file {
    char commit[65], etag[80];
    uint64_t size;
    bool lfs;
};

/* Nothing of the name that a header could not carry. */
static void disposition(const char *path, char out[300])
{
    const char *slash = strrchr(path, '/');
    int n = snprintf(out, 300, "attachment; filename=\"%.200s\"", slash ? slash + 1 : path);
    for (char *p = out + 22; p < out + n - 1; p++)
        if (*p < 0x20 || *p >= 0x7f || *p == '"' || *p == '\\')
            *p = '_';
}

static enum MHD_Result give(struct req *r, unsigned status, const struct file *f,
                            const struct range *range, struct MHD_Response *response)
{
    char text[300];
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "application/octet-stream");
    disposition(r->rest, text);
    MHD_add_response_header(response, "Content-Disposition", text);
    MHD_add_response_header(response, "X-Repo-Commit", f->commit);
    MHD_add_response_header(response, "ETag", f->etag);
    range_headers(response, range, f->size);
    MHD_add_response_header(response, "Cache-Control", "no-cache");
    if (f->lfs) {
        MHD_add_response_header(response, "X-Linked-Etag", f->etag);
        snprintf(text, sizeof text, "%llu", (unsigned long long)f->size);
        MHD_add_response_header(response, "X-Linked-Size", text);
    }
    return req_queue(r, status, response, CSP);
}

static struct MHD_Response *no_body(void)
{
    static char nothing[1];
    return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
}

/* Never called: of a HEAD only the length is told. */
static ssize_t no_content(void *cls, uint64_t pos, char *out, size_t max)
{
    (void)cls;
    (void)pos;
    memset(out, 0, max);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* What the path is at that revision. */
static int look(struct req *r, const struct space *space, struct file *ret, struct err *err)
{
    json_t *found, *paths = json_pack("[s]", r->rest);
    int res = repo_paths(r->app, space, r->what, paths, &found, err);
    json_decref(paths);
    if (res < 0)
        return res;
    json_t *item = json_array_get(json_object_get(found, "items"), 0);
    const char *type = json_string_value(json_object_get(item, "type"));
    const char *sha = json_string_value(json_object_get(found, "sha"));
    json_t *lfs = json_object_get(item, "lfs");
    const char *oid = json_string_value(json_object_get(lfs ? lfs : item, "oid"));
    *ret = (struct file){.lfs = lfs != NULL,
                         .size = (uint64_t)json_integer_value(json_object_get(item, "size"))};
    snprintf(ret->commit, sizeof ret->commit, "%s", sha ? sha : "");
    snprintf(ret->etag, sizeof ret->etag, "\"%.64s\"", oid ? oid : "");
    res = type && strcmp(type, "file") == 0
              ? 0
              : err_set(err, ENOENT, "there is no file %s at %s", r->rest, r->what);
    json_decref(found);
    return res;
}

enum MHD_Result api_resolve(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    struct file f;
    struct range range = {0};
    if (!reach_files(r, &v, &answer))
        return answer;
    if (look(r, &v.space, &f, &err) < 0)
        return hubrepo_fail(r, &err);
    const char *known = req_header(r, "If-None-Match");
    if (known && strstr(known, f.etag))
        return give(r, 304, &f, &range, no_body());
    if (r->head)
        return give(r, 200, &f, &range,
                    MHD_create_response_from_callback(f.size, 1, no_content, NULL, NULL));
    if (!range_of(r, f.size, f.etag, &range))
        return range_refuse(r, f.size);
    if (f.size == 0)
        return give(r, 200, &f, &range, no_body());
    struct repo_file *file = malloc(sizeof *file);
    if (!file)
        return MHD_NO;
    /* By the commit that was looked at: the branch may have moved. */
    if (repo_file(r->app, &v.space, f.commit, r->rest, range.offset, range.length, file, &err) <
        0) {
        free(file);
        return hubrepo_fail(r, &err);
    }
    struct MHD_Response *response =
        MHD_create_response_from_callback(range.length, BLOCK_BYTES, on_read, file, on_free);
    if (!response)
        on_free(file);
    return give(r, range_status(&range), &f, &range, response);
}
