#include "job/listing.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "job/git.h"
#include "job/lfs.h"
#include "job/names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHECK "--batch-check=%(objecttype) %(objectname) %(objectsize)"

enum { OIDS_MAX = 64 << 20, POINTER_MIN = 100 };

static json_t *item(const char *type, const char *oid, uint64_t size, const char *path)
{
    return json_pack("{s:s, s:s, s:I, s:s}", "type", strcmp(type, "tree") ? "file" : "directory",
                     "oid", oid, "size", (json_int_t)size, "path", path);
}

static bool may_be_pointer(const json_t *o)
{
    json_int_t size = json_integer_value(json_object_get(o, "size"));

    return strcmp(json_string_value(json_object_get(o, "type")), "file") == 0 &&
           size >= POINTER_MIN && size < LFS_POINTER_MAX;
}

/* Reads one object that `git cat-file --batch` prints. */
static int read_pointer(FILE *in, json_t *o, struct err *err)
{
    char head[200], text[LFS_POINTER_MAX + 1];
    uint64_t size;
    struct lfs_pointer p;

    if (!fgets(head, sizeof(head), in) || sscanf(head, "%*s blob %" SCNu64, &size) != 1 ||
        size >= sizeof(text) || fread(text, 1, size + 1, in) != size + 1)
        return err_set(err, EIO, "git cat-file: it ended early");
    if (!lfs_parse(text, size, &p))
        return 0;
    json_object_set_new(o, "size", json_integer((json_int_t)p.size));
    json_object_set_new(o, "lfs",
                        json_pack("{s:s, s:I, s:I}", "oid", p.oid, "size", (json_int_t)p.size,
                                  "pointerSize", (json_int_t)size));
    /* huggingface_hub copies to another repository only what has one, and hands it back: here it is
     * the content's SHA-256 */
    json_object_set_new(o, "xetHash", json_string(p.oid));
    return 0;
}

/* Looks which of the files are LFS pointers. */
static int find_pointers(json_t *items, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    _cleanup_buf_ struct buf oids = BUF_INIT(OIDS_MAX);
    size_t i;
    json_t *o;

    json_array_foreach(
        items, i, o) if (may_be_pointer(o) &&
                         buf_printf(&oids, "%s\n", json_string_value(json_object_get(o, "oid"))) <
                             0) return err_set(err, ENOMEM, "out of memory");
    if (oids.len == 0)
        return 0;
    _cleanup_close_ int in = git_input(oids.data, oids.len, err);
    int r = in < 0
                ? in
                : git_begin(&git, (const char *[]){"git", "cat-file", "--batch", "--buffer", NULL},
                            in, err);
    json_array_foreach(items, i, o) if (r == 0 && may_be_pointer(o)) r =
        read_pointer(git.out, o, err);
    return r < 0 ? r : git_end(&git, err);
}

/* "MODE TYPE OID SIZE\tPATH" */
static json_t *item_of_line(char *line, const char *folder)
{
    char type[8], oid[GIT_OID_MAX + 1], size[24], path[2 * NAMES_PATH_MAX + 4];
    char *name = strchr(line, '\t');

    if (!name || sscanf(line, "%*s %7s %64s %23s", type, oid, size) != 3 || !git_is_oid(oid))
        return NULL;
    snprintf(path, sizeof(path), "%s%s%s", folder, *folder ? "/" : "", name + 1);
    json_t *o = item(type, oid, strtoull(size, NULL, 10), path);

    return o ? o : item(type, oid, 0, "?"); /* a name that is no UTF-8 */
}

int listing_tree(const char *commit, const char *path, bool recursive, uint64_t offset,
                 uint64_t limit, json_t **ret, bool *ret_more, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    _cleanup_free_ char *line = NULL;
    char clean[NAMES_PATH_MAX + 1] = "", name[NAMES_PATH_MAX + 80], quoted[NAMES_QUOTED_MAX];
    const char *argv[10] = {"git", "ls-tree", "-z", "-l", "--full-tree"};
    size_t cap = 0, n = 5;
    json_t *items = json_array();
    int r = *path ? names_clean(path, clean, err) : 0;

    if (recursive) {
        argv[n++] = "-r";
        argv[n++] = "-t";
    }
    snprintf(name, sizeof(name), "%s%s%s", commit, *clean ? ":" : "", clean);
    argv[n++] = name;
    if (r == 0)
        r = git_begin(&git, argv, -1, err);
    *ret_more = false;
    for (uint64_t i = 0; r == 0 && getdelim(&line, &cap, 0, git.out) > 0; i++) {
        if (i < offset)
            continue;
        if (json_array_size(items) >= limit) {
            *ret_more = true;
            git_free(&git);
            break;
        }
        json_t *o = item_of_line(line, clean);
        if (!o || json_array_append_new(items, o) < 0)
            r = err_set(err, EIO, "git ls-tree: a line that is none");
    }
    if (r == 0 && git.pid && git_end(&git, err) < 0)
        r = *clean ? err_set(err, ENOENT, "there is no folder %s", names_quote(clean, quoted))
                   : -err->code;
    if (r == 0)
        r = find_pointers(items, err);
    if (r < 0)
        json_decref(items);
    else
        *ret = items;
    return r;
}

static int write_names(const char *commit, const json_t *paths, struct buf *out, struct err *err)
{
    char clean[NAMES_PATH_MAX + 1];
    size_t i;
    const json_t *p;

    json_array_foreach(paths, i, p)
    {
        const char *path = json_string_value(p);

        if (!path)
            return err_set(err, EINVAL, "a path is no string");
        int r = names_clean(path, clean, err);
        if (r < 0)
            return r;
        if (buf_printf(out, "%s:%s\n", commit, clean) < 0)
            return err_set(err, ENOMEM, "out of memory");
    }
    return 0;
}

int listing_paths(const char *commit, const json_t *paths, json_t **ret, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    _cleanup_buf_ struct buf names = BUF_INIT(OIDS_MAX);
    _cleanup_free_ char *line = NULL;
    char clean[NAMES_PATH_MAX + 1], type[16], oid[GIT_OID_MAX + 1];
    size_t cap = 0, i;
    const json_t *p;
    json_t *items = json_array();
    int r = write_names(commit, paths, &names, err);

    if (r == 0 && names.len) {
        _cleanup_close_ int in = git_input(names.data, names.len, err);
        r = in < 0 ? in
                   : git_begin(&git, (const char *[]){"git", "cat-file", "--buffer", CHECK, NULL},
                               in, err);
    }
    json_array_foreach(paths, i, p)
    {
        uint64_t size;

        if (r < 0)
            break;
        if (getline(&line, &cap, git.out) <= 0) {
            r = err_set(err, EIO, "git cat-file: it ended early");
            break;
        }
        if (sscanf(line, "%15s %64s %" SCNu64, type, oid, &size) != 3 || !git_is_oid(oid))
            continue; /* "... missing" */
        names_clean(json_string_value(p), clean, err);
        json_t *o = item(type, oid, strcmp(type, "tree") ? size : 0, clean);
        if (!o || json_array_append_new(items, o) < 0)
            r = err_set(err, ENOMEM, "out of memory");
    }
    if (r == 0)
        r = git_end(&git, err);
    if (r == 0)
        r = find_pointers(items, err);
    if (r < 0)
        json_decref(items);
    else
        *ret = items;
    return r;
}
