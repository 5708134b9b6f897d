#include "webui/duplicate.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "webui/repo.h"
#include "webui/submit.h"
#include "webui/upload.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAX 100000
#define BLOCK (48 * 1024) /* a multiple of three: base64 without a rest in the middle */

/* Reads a block, or what is left; 0 at the end. */
static ssize_t read_block(int fd, unsigned char out[BLOCK])
{
    return read_all(fd, out, BLOCK);
}

static int write_text(int out, const char *text, struct err *err)
{
    int r = write_all(out, text, strlen(text));
    return r < 0 ? upload_write_failed(-r, err) : 0;
}

/* The content as base64, straight from the job to the file. */
static int write_content(int out, const struct repo_file *f, struct err *err)
{
    unsigned char block[BLOCK];
    char base64[BLOCK / 3 * 4 + 1];
    uint64_t done = 0;
    ssize_t n;
    while ((n = read_block(f->fd, block)) > 0) {
        sodium_bin2base64(base64, sizeof base64, block, (size_t)n, sodium_base64_VARIANT_ORIGINAL);
        int r = write_text(out, base64, err);
        if (r < 0)
            return r;
        done += (uint64_t)n;
    }
    return n < 0 || done != f->length ? err_set(err, EIO, "the file could not be read to its end")
                                      : 0;
}

/* Stored with the other Space; the commit then names it. */
static int copy_lfs(struct app *app, const struct space *to, const struct repo_file *f,
                    struct err *err)
{
    _cleanup_close_ int fd = upload_tmpfile(app, err);
    unsigned char block[BLOCK];
    ssize_t n;
    if (fd < 0)
        return fd;
    while ((n = read_block(f->fd, block)) > 0) {
        int r = write_all(fd, block, (size_t)n);
        if (r < 0)
            return upload_write_failed(-r, err);
    }
    if (n < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return err_set(err, EIO, "the file could not be read to its end");
    return repo_lfs_store(app, to, f->lfs, f->size, fd, err);
}

static int write_line(int out, json_t *line, struct err *err)
{
    _cleanup_free_ char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (!text)
        return err_set(err, ENOMEM, "out of memory");
    int r = write_text(out, text, err);
    return r < 0 ? r : write_text(out, "\n", err);
}

static int copy_file(struct app *app, const struct space *from, const struct space *to,
                     const char *sha, const char *path, int out, struct err *err)
{
    struct repo_file f;
    int r = repo_file(app, from, sha, path, 0, UINT64_MAX, &f, err);
    if (r < 0)
        return r;
    if (*f.lfs) {
        r = copy_lfs(app, to, &f, err);
        if (r == 0)
            r = write_line(out,
                           json_pack("{s:s, s:{s:s, s:s, s:s, s:I}}", "key", "lfsFile", "value",
                                     "path", path, "algo", "sha256", "oid", f.lfs, "size",
                                     (json_int_t)f.size),
                           err);
    } else {
        _cleanup_buf_ struct buf head = BUF_INIT(65536);
        if (buf_puts(&head, "{\"key\":\"file\",\"value\":{\"encoding\":\"base64\",\"path\":") < 0 ||
            buf_json(&head, path) < 0 || buf_puts(&head, ",\"content\":\"") < 0)
            r = err_set(err, ENOMEM, "out of memory");
        if (r == 0)
            r = write_text(out, head.data, err);
        if (r == 0)
            r = write_content(out, &f, err);
        if (r == 0)
            r = write_text(out, "\"}}\n", err);
    }
    repo_file_close(&f);
    return r;
}

static int copy_all(struct app *app, const struct space *from, const struct space *to,
                    const json_t *tree, int out, struct err *err)
{
    const char *sha = json_string_value(json_object_get(tree, "sha"));
    _cleanup_buf_ struct buf summary = BUF_INIT(512);
    if (buf_printf(&summary, "Duplicate from %s", from->full) < 0)
        return err_set(err, ENOMEM, "out of memory");
    int r = write_line(
        out, json_pack("{s:s, s:{s:s}}", "key", "header", "value", "summary", summary.data), err);
    json_t *item;
    size_t i;
    json_array_foreach(json_object_get(tree, "items"), i, item)
    {
        const char *path = json_string_value(json_object_get(item, "path"));
        const char *type = json_string_value(json_object_get(item, "type"));
        if (r == 0 && path && type && strcmp(type, "file") == 0)
            r = copy_file(app, from, to, sha ? sha : "", path, out, err);
    }
    return r;
}

int duplicate_files(struct app *app, const struct space *from, const struct space *to,
                    const char *author, struct err *err)
{
    json_t *tree;
    int r = repo_tree(app, from, "main", "", true, 0, FILES_MAX, &tree, err);
    if (r < 0)
        return r;
    if (json_array_size(json_object_get(tree, "items")) == 0) { /* there is nothing to copy */
        json_decref(tree);
        return 0;
    }
    _cleanup_close_ int out = upload_tmpfile(app, err);
    struct submit_result result;
    r = out < 0 ? out : copy_all(app, from, to, tree, out, err);
    json_decref(tree);
    if (r == 0 && lseek(out, 0, SEEK_SET) < 0)
        r = err_errno(err, "lseek");
    return r < 0 ? r : submit_commit(app, to, out, "main", author, &result, err);
}
