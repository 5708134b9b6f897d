#include "webui/duplicate.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/repo.h"
#include "webui/submit.h"
#include "webui/upload.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAX 100000
#define BLOCK (64 * 1024)

/* Reads a block, or what is left; 0 at the end. */
static ssize_t read_block(int fd, unsigned char out[BLOCK])
{
    return read_all(fd, out, BLOCK);
}

/* Stored with the other Space, before the commit that names it. */
static int copy_lfs(struct app *app, const struct space *to, const char *oid,
                    const struct repo_file *f, struct err *err)
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
    return repo_lfs_store(app, to, oid, f->size, fd, err);
}

static int copy_object(struct app *app, const struct space *from, const struct space *to,
                       const char *oid, struct err *err)
{
    struct repo_file f = REPO_FILE_NONE;
    int r = repo_lfs_object(app, from, oid, 0, UINT64_MAX, &f, err);
    if (r == 0)
        r = copy_lfs(app, to, oid, &f, err);
    repo_file_close(&f);
    return r;
}

/* Every object once, whatever has it. */
static int copy_objects(struct app *app, const struct space *from, const struct space *to,
                        const json_t *tree, struct err *err)
{
    json_t *item, *done = json_object();
    size_t i;
    int r = 0;
    json_array_foreach(json_object_get(tree, "items"), i, item)
    {
        const char *oid = json_string_value(json_object_get(json_object_get(item, "lfs"), "oid"));
        if (r < 0 || !oid || json_object_get(done, oid))
            continue;
        json_object_set_new(done, oid, json_true());
        r = copy_object(app, from, to, oid, err);
    }
    json_decref(done);
    return r;
}

int duplicate_objects(struct app *app, const struct space *from, const struct space *to,
                      const json_t *files, json_t **ret_failed, struct err *err)
{
    json_t *failed = json_array();
    const json_t *file;
    size_t i;
    json_array_foreach(files, i, file)
    {
        struct err why = {0};
        const char *oid = json_string_value(json_object_get(file, "sha256"));
        if (oid && copy_object(app, from, to, oid, &why) == 0)
            continue;
        if (why.internal) {
            *err = why;
            json_decref(failed);
            return -why.code;
        }
        json_array_append_new(failed,
                              json_pack("{s:s, s:s}", "sha256", oid ? oid : "", "error",
                                        oid ? why.msg : "an object is named by its SHA-256"));
    }
    *ret_failed = failed;
    return 0;
}

int duplicate_files(struct app *app, const struct space *from, const struct space *to,
                    const char *author, struct err *err)
{
    json_t *tree;
    char oid[65], message[300];
    int r = repo_tree(app, from, "main", "", true, 0, FILES_MAX, &tree, err);
    if (r < 0)
        return r;
    bool empty = json_array_size(json_object_get(tree, "items")) == 0;
    const char *sha = json_string_value(json_object_get(tree, "sha"));
    _cleanup_close_ int pack = empty ? -1 : upload_tmpfile(app, err);
    struct submit_result result;
    r = empty || pack >= 0 ? copy_objects(app, from, to, tree, err) : pack;
    if (r == 0 && !empty)
        r = repo_pack(app, from, sha ? sha : "main", pack, oid, err);
    json_decref(tree);
    if (r < 0 || empty)
        return r;
    if (lseek(pack, 0, SEEK_SET) < 0)
        return err_errno(err, "lseek");
    snprintf(message, sizeof message, "Duplicate from %s", from->full);
    return submit_pack(app, to, pack, oid, message, author, &result, err);
}
