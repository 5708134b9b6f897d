#include "webui/repo.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "webui/upload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 << 20, HEAD_MAX = 4096 };

static unsigned wait_ms(const struct app *app)
{
    return (unsigned)app->conf->upload_job_timeout + 10000;
}

/* ---- questions ---- */

/* The answer of a job that streams JSON. */
static int read_answer(struct app *app, struct link_job *job, json_t **ret, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = link_job_stream(job, wait_ms(app), err);
    if (fd < 0)
        return fd;
    int r = buf_read_fd(&text, fd);
    if (r < 0)
        return err_set(err, -r, "the answer about the repository has more than 64 MiB");
    r = link_job_wait(job, wait_ms(app), NULL, err);
    if (r < 0)
        return r;
    *ret = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(*ret))
        return 0;
    json_decref(*ret);
    return err_set(err, EPROTO, "the answer about the repository cannot be read");
}

static int ask(struct app *app, enum proto_job_kind kind, const struct space *space,
               const struct link_arg *args, const json_t *body, json_t **ret, struct err *err)
{
    _cleanup_close_ int fd = body ? upload_json(app, body, err) : -1;
    struct link_job_ask q = {.kind = kind, .space = space, .args = args, .body_fd = fd};
    struct link_job *job;
    if (body && fd < 0)
        return fd;
    int r = link_job_begin(app->link, &q, &job, err);
    if (r < 0)
        return r;
    r = read_answer(app, job, ret, err);
    link_job_free(job);
    return r;
}

int repo_card(struct app *app, const char *readme, bool is_space, json_t **ret, struct err *err)
{
    const struct link_arg args[] = {{"what", is_space ? NULL : "yaml"}, {0}};
    _cleanup_close_ int fd = upload_tmpfile(app, err);
    struct link_job_ask q = {.kind = JOB_CARD, .args = args, .body_fd = fd};
    struct link_job *job;
    int r = fd < 0 ? fd : write_all(fd, readme, strlen(readme));
    if (r < 0)
        return fd < 0 ? fd : upload_write_failed(-r, err);
    r = link_job_begin(app->link, &q, &job, err);
    if (r < 0)
        return r;
    r = link_job_wait(job, wait_ms(app), ret, err);
    link_job_free(job);
    return r;
}

static const char *number(char out[24], uint64_t n)
{
    snprintf(out, 24, "%" PRIu64, n);
    return out;
}

int repo_resolve(struct app *app, const struct space *space, const char *rev, json_t **ret,
                 struct err *err)
{
    const struct link_arg args[] = {{"what", "resolve"}, {"rev", rev}, {0}};
    return ask(app, JOB_READ, space, args, NULL, ret, err);
}

int repo_tree(struct app *app, const struct space *space, const char *rev, const char *path,
              bool recursive, uint64_t offset, uint64_t limit, json_t **ret, struct err *err)
{
    char from[24], most[24];
    const struct link_arg args[] = {{"what", "tree"},
                                    {"rev", rev},
                                    {"path", path},
                                    {"recursive", recursive ? "1" : "0"},
                                    {"offset", number(from, offset)},
                                    {"limit", number(most, limit)},
                                    {0}};
    return ask(app, JOB_READ, space, args, NULL, ret, err);
}

int repo_paths(struct app *app, const struct space *space, const char *rev, const json_t *paths,
               json_t **ret, struct err *err)
{
    const struct link_arg args[] = {{"what", "paths"}, {"rev", rev}, {0}};
    json_t *body = json_pack("{s:O}", "paths", paths);
    int r = ask(app, JOB_READ, space, args, body, ret, err);
    json_decref(body);
    return r;
}

int repo_log(struct app *app, const struct space *space, const char *rev, uint64_t offset,
             uint64_t limit, json_t **ret, struct err *err)
{
    char from[24], most[24];
    const struct link_arg args[] = {{"what", "log"},
                                    {"rev", rev},
                                    {"offset", number(from, offset)},
                                    {"limit", number(most, limit)},
                                    {0}};
    return ask(app, JOB_READ, space, args, NULL, ret, err);
}

int repo_refs(struct app *app, const struct space *space, json_t **ret, struct err *err)
{
    const struct link_arg args[] = {{"what", "refs"}, {0}};
    return ask(app, JOB_READ, space, args, NULL, ret, err);
}

int repo_diff(struct app *app, const struct space *space, const char *rev, json_t **ret,
              struct err *err)
{
    const struct link_arg args[] = {{"what", "diff"}, {"rev", rev}, {0}};
    return ask(app, JOB_READ, space, args, NULL, ret, err);
}

int repo_preupload(struct app *app, const struct space *space, const char *rev, const json_t *body,
                   json_t **ret, struct err *err)
{
    const struct link_arg args[] = {{"what", "preupload"}, {"rev", rev}, {0}};
    return ask(app, JOB_READ, space, args, body, ret, err);
}

int repo_lfs(struct app *app, const struct space *space, const json_t *objects, json_t **ret,
             struct err *err)
{
    const struct link_arg args[] = {{"what", "lfs"}, {0}};
    json_t *body = json_pack("{s:O}", "objects", objects);
    int r = ask(app, JOB_READ, space, args, body, ret, err);
    json_decref(body);
    return r;
}

int repo_pack(struct app *app, const struct space *space, const char *rev, int out, char tree[65],
              struct err *err)
{
    static const size_t block = 65536;
    const struct link_arg args[] = {{"what", "pack"}, {"rev", rev}, {0}};
    struct link_job_ask q = {.kind = JOB_SERVE, .space = space, .args = args, .body_fd = -1};
    _cleanup_free_ char *data = malloc(block);
    struct link_job *job;
    size_t len = 0;
    ssize_t n = 1;
    int r = data ? link_job_begin(app->link, &q, &job, err) : err_set(err, ENOMEM, "out of memory");
    if (r < 0)
        return r;
    _cleanup_close_ int fd = link_job_stream(job, wait_ms(app), err);
    r = fd < 0 ? fd : 0;
    while (r == 0 && len < 65 && (n = read_all(fd, tree + len, 1)) == 1 && tree[len] != '\n')
        len++;
    tree[len < 65 ? len : 64] = 0;
    while (r == 0 && n > 0 && (n = read_all(fd, data, block)) > 0)
        if ((r = write_all(out, data, (size_t)n)) < 0)
            r = upload_write_failed(-r, err);
    close_fd(&fd); /* whoever writes to it ends then */
    if (r == 0)
        r = link_job_wait(job, (unsigned)app->conf->upload_transfer_timeout + 10000, NULL, err);
    link_job_free(job);
    return r == 0 && (n < 0 || len < 40) ? err_set(err, EIO, "its files could not be read") : r;
}

/* ---- changes that deploy nothing ---- */

static int change(struct app *app, const struct space *space, enum proto_job_kind kind,
                  const struct link_arg *args, int fd, struct err *err)
{
    struct link_job_ask q = {.kind = kind, .space = space, .args = args, .body_fd = fd};
    struct link_job *job;
    int r = link_job_begin(app->link, &q, &job, err);
    if (r < 0)
        return r;
    r = link_job_wait(job, wait_ms(app), NULL, err);
    link_job_free(job);
    return r;
}

int repo_lfs_store(struct app *app, const struct space *space, const char *oid, uint64_t size,
                   int fd, struct err *err)
{
    char bytes[24];
    const struct link_arg args[] = {{"oid", oid}, {"size", number(bytes, size)}, {0}};
    return change(app, space, JOB_LFS, args, fd, err);
}

int repo_lfs_list(struct app *app, const struct space *space, json_t **ret, struct err *err)
{
    const struct link_arg args[] = {{"what", "lfs-list"}, {0}};
    return ask(app, JOB_READ, space, args, NULL, ret, err);
}

int repo_lfs_delete(struct app *app, const struct space *space, const json_t *shas, struct err *err)
{
    const struct link_arg args[] = {{"do", "delete"}, {0}};
    json_t *body = json_pack("{s:O}", "sha", shas);
    _cleanup_close_ int fd = body ? upload_json(app, body, err) : -1;
    json_decref(body);
    return fd < 0 ? fd : change(app, space, JOB_LFS, args, fd, err);
}

static const char *word(enum repo_ref kind)
{
    return kind == REPO_TAG ? "tag" : "branch";
}

int repo_ref_create(struct app *app, const struct space *space, enum repo_ref kind,
                    const char *name, const char *rev, const char *message, const char *author,
                    struct err *err)
{
    const struct link_arg args[] = {{"do", "create"},
                                    {"kind", word(kind)},
                                    {"name", name},
                                    {"rev", rev},
                                    {"message", message},
                                    {"author", author},
                                    {0}};
    return change(app, space, JOB_REF, args, -1, err);
}

int repo_squash(struct app *app, const struct space *space, const char *branch, const char *message,
                const char *author, struct err *err)
{
    const struct link_arg args[] = {{"do", "squash"},     {"kind", "branch"}, {"name", branch},
                                    {"message", message}, {"author", author}, {0}};
    return change(app, space, JOB_REF, args, -1, err);
}

int repo_ref_delete(struct app *app, const struct space *space, enum repo_ref kind,
                    const char *name, struct err *err)
{
    const struct link_arg args[] = {{"do", "delete"}, {"kind", word(kind)}, {"name", name}, {0}};
    return change(app, space, JOB_REF, args, -1, err);
}

/* ---- files ---- */

static void copy_text(char out[65], const json_t *head, const char *key)
{
    const char *text = json_string_value(json_object_get(head, key));
    snprintf(out, 65, "%s", text ? text : "");
}

/* The line of JSON before the content, byte for byte: what follows it is not ours to take. */
static int read_head(struct repo_file *f, struct err *err)
{
    char line[HEAD_MAX];
    size_t n = 0;
    while (n < sizeof line && read_all(f->fd, line + n, 1) == 1 && line[n] != '\n')
        n++;
    if (n == 0) /* it failed, and its result says why */
        return -ENODATA;
    json_t *head = n < sizeof line ? json_loadb(line, n, 0, NULL) : NULL;
    json_int_t size = json_integer_value(json_object_get(head, "size"));
    json_int_t length = json_integer_value(json_object_get(head, "length"));
    bool good = json_is_object(head) && size >= 0 && length >= 0 && length <= size;
    f->size = (uint64_t)size;
    f->length = (uint64_t)length;
    copy_text(f->commit, head, "sha");
    copy_text(f->oid, head, "oid");
    copy_text(f->lfs, head, "lfs");
    json_decref(head);
    return good ? 0 : err_set(err, EPROTO, "the file's size cannot be read");
}

static int open_file(struct app *app, const struct space *space, enum proto_job_kind kind,
                     struct link_arg *args, uint64_t offset, uint64_t length, struct repo_file *ret,
                     struct err *err)
{
    char from[24], most[24];
    struct link_arg *last = args;
    while (last->key)
        last++;
    last[0] = (struct link_arg){"offset", number(from, offset)};
    if (length != UINT64_MAX)
        last[1] = (struct link_arg){"length", number(most, length)};
    struct link_job_ask q = {.kind = kind, .space = space, .args = args, .body_fd = -1};
    struct repo_file f = REPO_FILE_NONE;
    int r = link_job_begin(app->link, &q, &f.job, err);
    if (r < 0)
        return r;
    f.fd = link_job_stream(f.job, wait_ms(app), err);
    r = f.fd < 0 ? f.fd : read_head(&f, err);
    if (r == -ENODATA) {
        r = link_job_wait(f.job, wait_ms(app), NULL, err);
        r = r < 0 ? r : err_set(err, EPROTO, "the file cannot be read");
    }
    if (r < 0)
        repo_file_close(&f);
    else
        *ret = f;
    return r;
}

int repo_file(struct app *app, const struct space *space, const char *rev, const char *path,
              uint64_t offset, uint64_t length, struct repo_file *ret, struct err *err)
{
    struct link_arg args[6] = {{"what", "file"}, {"rev", rev}, {"path", path}};
    return open_file(app, space, JOB_SERVE, args, offset, length, ret, err);
}

int repo_lfs_object(struct app *app, const struct space *space, const char *oid, uint64_t offset,
                    uint64_t length, struct repo_file *ret, struct err *err)
{
    struct link_arg args[6] = {{"what", "lfs"}, {"oid", oid}};
    return open_file(app, space, JOB_SERVE, args, offset, length, ret, err);
}

int repo_data_file(struct app *app, const struct space *space, const char *path, uint64_t offset,
                   uint64_t length, struct repo_file *ret, struct err *err)
{
    struct link_arg args[6] = {{"what", "file"}, {"path", path}};
    return open_file(app, space, JOB_DATA, args, offset, length, ret, err);
}

int repo_data_list(struct app *app, const struct space *space, const char *path, json_t **ret,
                   struct err *err)
{
    const struct link_arg args[] = {{"what", "list"}, {"path", path}, {0}};
    return ask(app, JOB_DATA, space, args, NULL, ret, err);
}

int repo_data_delete(struct app *app, const struct space *space, const char *path, struct err *err)
{
    const struct link_arg args[] = {{"path", path}, {0}};
    return change(app, space, JOB_DATA_DELETE, args, -1, err);
}

void repo_file_close(struct repo_file *f)
{
    close_fd(&f->fd); /* first: who writes to it ends then */
    link_job_free(f->job);
    *f = REPO_FILE_NONE;
}

int repo_file_read(struct app *app, const struct space *space, const char *rev, const char *path,
                   struct buf *out, struct err *err)
{
    struct repo_file f = REPO_FILE_NONE;
    int r = repo_file(app, space, rev, path, 0, UINT64_MAX, &f, err);
    if (r < 0)
        return r;
    if (f.length > out->max)
        r = err_set(err, EFBIG, "%s has more than %zu bytes", path, out->max);
    else if (buf_read_fd(out, f.fd) < 0 || out->len != f.length)
        r = err_set(err, EIO, "%s cannot be read", path);
    repo_file_close(&f);
    return r;
}
