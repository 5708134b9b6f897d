#include "job/checkout.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "job/blob.h"
#include "job/git.h"
#include "job/lfs.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 512 << 20 };

struct item {
    bool executable, link;
    uint64_t size;
    size_t path; /* in names */
};

struct list {
    struct item *items; /* owned */
    size_t count, cap;
    struct buf names; /* each with a NUL */
    struct buf oids;  /* one a line */
    uint64_t bytes;
};

static void list_free(struct list *l)
{
    free(l->items);
    buf_free(&l->names);
    buf_free(&l->oids);
}

static int refuse(struct err *err, int code, const char *path, const char *why)
{
    char quoted[NAMES_QUOTED_MAX];

    return err_set(err, code, "%s: %s", names_quote(path, quoted), why);
}

/* ---- what is in it ---- */

static int check_size(const struct checkout_options *o, const struct tree *tree,
                      const struct item *item, const char *path, uint64_t bytes, struct err *err)
{
    char size[32], limit[32], why[200];

    if (o->max_file && item->size > o->max_file) {
        format_bytes(item->size, size);
        format_bytes(o->max_file, limit);
        snprintf(why, sizeof(why),
                 "it has %s, and %s is the most for a file here (upload.max_file): keep it in Git "
                 "LFS (git lfs track)",
                 size, limit);
        return refuse(err, EFBIG, path, why);
    }
    if (bytes > tree->max_bytes) {
        format_bytes(tree->max_bytes, limit);
        return err_set(err, E2BIG, "the files of this version have more than %s together", limit);
    }
    return 0;
}

/* "MODE TYPE OID SIZE\tPATH" */
static int take_line(struct list *l, const struct checkout_options *o, const struct tree *tree,
                     char *line, struct err *err)
{
    char mode[8], type[8], oid[GIT_OID_MAX + 1], size[24], clean[NAMES_PATH_MAX + 1];
    char *path = strchr(line, '\t');

    if (!path || sscanf(line, "%7s %7s %64s %23s", mode, type, oid, size) != 4 || !git_is_oid(oid))
        return err_set(err, EIO, "git ls-tree: a line that is none");
    path++;
    int r = names_clean(path, clean, err);
    if (r < 0)
        return r;
    if (strcmp(clean, path) != 0)
        return refuse(err, EINVAL, path, "a path that is not written as it is meant");
    if (strcmp(type, "commit") == 0)
        return refuse(err, EINVAL, path,
                      "a submodule; a Space is one repository: put its files into it");
    if (strcmp(type, "blob") != 0)
        return refuse(err, EINVAL, path, "of unknown kind");
    if (l->count >= tree->max_entries)
        return err_set(err, E2BIG, "this version has more than %zu files", tree->max_entries);
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        struct item *grown = reallocarray(l->items, cap, sizeof(*grown));

        if (!grown)
            return err_set(err, ENOMEM, "out of memory");
        l->items = grown;
        l->cap = cap;
    }
    struct item *item = &l->items[l->count];
    *item = (struct item){.executable = strcmp(mode, "100755") == 0,
                          .link = strcmp(mode, "120000") == 0,
                          .size = strtoull(size, NULL, 10),
                          .path = l->names.len};
    l->bytes += item->size;
    r = check_size(o, tree, item, path, l->bytes, err);
    if (r < 0)
        return r;
    if (item->link && item->size > NAMES_PATH_MAX)
        return refuse(err, EINVAL, path, "the link's target is longer than 1024 bytes");
    if (buf_puts(&l->names, path) < 0 || buf_append(&l->names, "", 1) < 0 ||
        buf_printf(&l->oids, "%s\n", oid) < 0)
        return err_set(err, ENOMEM, "out of memory");
    l->count++;
    return 0;
}

static int list(struct list *l, const char *commit, const struct checkout_options *o,
                const struct tree *tree, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    int r = git_begin(
        &git, (const char *[]){"git", "ls-tree", "-r", "-z", "-l", "--full-tree", commit, NULL}, -1,
        err);

    while (r == 0 && getdelim(&line, &cap, 0, git.out) > 0)
        r = take_line(l, o, tree, line, err);
    return r < 0 ? r : git_end(&git, err);
}

/* ---- its contents ---- */

static int take_lfs(const struct checkout_options *o, struct tree *tree, const struct item *item,
                    const struct lfs_pointer *p, const char *path, struct err *err)
{
    uint64_t size;
    _cleanup_close_ int fd = lfs_open(o->repo, p->oid, &size, NULL);
    char why[200];

    if (fd < 0 || size != p->size) {
        snprintf(why, sizeof(why),
                 "its LFS object %.12s... was not uploaded: push it (git lfs push --all origin)",
                 p->oid);
        return refuse(err, ENOENT, path, why);
    }
    unsigned char hash[32];

    sodium_hex2bin(hash, sizeof(hash), p->oid, 64, NULL, NULL, NULL);
    return tree_take(tree, fd, size, hash, path, item->executable, err);
}

static int take_item(const struct checkout_options *o, struct tree *tree, FILE *in,
                     const struct item *item, const char *path, struct err *err)
{
    char small[NAMES_PATH_MAX + 2];
    struct lfs_pointer pointer;
    int r;

    if (item->link) {
        r = blob_to_memory(in, small, (size_t)item->size, err);
        if (r == 0 && (item->size == 0 || strlen(small) != item->size || small[0] == '/'))
            return refuse(err, EINVAL, path,
                          "a link to an absolute path or to nothing; only links inside the bundle "
                          "are taken");
        return r < 0 ? r : tree_symlink(tree, path, small, err);
    }
    if (item->size >= LFS_POINTER_MAX)
        return blob_to_file(in, item->size, tree, path, item->executable, err);
    r = blob_to_memory(in, small, (size_t)item->size, err);
    if (r < 0)
        return r;
    if (lfs_parse(small, (size_t)item->size, &pointer))
        return take_lfs(o, tree, item, &pointer, path, err);
    _cleanup_tree_file_ struct tree_file file = {.fd = -1};
    r = tree_file_open(tree, path, item->executable, &file, err);
    if (r == 0)
        r = tree_file_write(&file, small, (size_t)item->size, 0, err);
    return r < 0 ? r : tree_file_finish(&file, item->size, err);
}

int checkout(const char *commit, const struct checkout_options *o, struct tree *tree,
             struct err *err)
{
    _cleanup_(list_free) struct list l = {.names = BUF_INIT(LIST_MAX), .oids = BUF_INIT(LIST_MAX)};
    _cleanup_git_ struct git git = GIT_NONE;
    uint64_t done = 0;
    int r = list(&l, commit, o, tree, err);

    if (r < 0 || l.count == 0)
        return r;
    _cleanup_close_ int in = git_input(l.oids.data, l.oids.len, err);
    r = in < 0 ? in
               : git_begin(&git, (const char *[]){"git", "cat-file", "--batch", "--buffer", NULL},
                           in, err);
    for (size_t i = 0; r == 0 && i < l.count; i++) {
        const struct item *item = &l.items[i];
        char head[200], type[16];
        uint64_t size;

        if (!fgets(head, sizeof(head), git.out) ||
            sscanf(head, "%*s %15s %" SCNu64, type, &size) != 2 || strcmp(type, "blob") != 0 ||
            size != item->size)
            return blob_cut_short(err);
        r = take_item(o, tree, git.out, item, l.names.data + item->path, err);
        done += size;
        if (o->progress)
            o->progress(o->arg, done, l.bytes);
    }
    return r < 0 ? r : git_end(&git, err);
}
