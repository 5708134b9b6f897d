#include "job/lfs_list.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "job/git.h"
#include "job/lfs.h"
#include "job/lfs_refs.h"
#include "job/repo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBJECTS_MAX 100000 /* objects in all that are told of */

struct places {
    json_t *paths; /* of blobs: oid -> path, of those that a branch or tag leads to */
    json_t *main;  /* the same for main as it is */
    json_t *named; /* of LFS objects: oid -> [path, main?] */
};

/* "OID PATH" lines of rev-list, or "MODE TYPE OID\tPATH" of ls-tree, each ended by `end`. */
static int read_paths(const char *const argv[], char end, json_t *into, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    int r = git_begin(&git, argv, -1, err);

    while (r == 0 && getdelim(&line, &size, end, git.out) > 0) {
        char oid[GIT_OID_MAX + 1], *path = end ? strchr(line, ' ') : strchr(line, '\t');

        line[strcspn(line, "\n")] = '\0';
        if (!path || sscanf(line, end ? "%64s" : "%*s %*s %64s", oid) != 1)
            continue;
        json_t *text = json_stringn_nocheck(path + 1, strlen(path + 1));
        json_t *checked = json_string(json_string_value(text)); /* NULL where it is no UTF-8 */
        json_decref(text);
        json_object_set_new(into, oid, checked ? checked : json_string("?"));
    }
    return r == 0 ? git_end(&git, err) : r;
}

static int on_pointer(void *arg, const char *blob, const struct lfs_pointer *p)
{
    struct places *at = arg;
    json_t *now = json_object_get(at->main, blob), *path = json_object_get(at->paths, blob);

    if ((!now && !path) || (!now && json_object_get(at->named, p->oid)))
        return 0;
    return json_object_set_new(at->named, p->oid,
                               json_pack("[O, b]", now ? now : path, now != NULL)) < 0
               ? -ENOMEM
               : 0;
}

static int find_places(struct places *at, struct err *err)
{
    char main[GIT_OID_MAX + 1];
    int r = read_paths(
        (const char *[]){"git", "rev-list", "--objects", "--all", "--filter=blob:limit=1024", NULL},
        '\n', at->paths, err);

    if (r == 0)
        r = repo_ref(REPO_MAIN, main, err);
    if (r == 1)
        r = read_paths((const char *[]){"git", "ls-tree", "-r", "-z", main, NULL}, '\0', at->main,
                       err);
    return r < 0 ? r : lfs_refs_each(on_pointer, at, err);
}

static void add_object(int folder, const char *name, const struct places *at, json_t *out)
{
    const json_t *where = json_object_get(at->named, name);
    const char *path = json_string_value(json_array_get(where, 0));
    char pushed[25];
    struct stat st;

    if (!lfs_is_oid(name) || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode) || json_array_size(out) >= OBJECTS_MAX)
        return;
    time_iso((uint64_t)st.st_mtime * 1000, pushed);
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:s}", "fileOid", name, "oid", name, "filename",
                          path ? path : "", "size", (json_int_t)st.st_size, "pushedAt", pushed);
    if (json_is_true(json_array_get(where, 1)))
        json_object_set_new(o, "ref", json_string("main"));
    json_array_append_new(out, o);
}

/* Folders of two letters, and in the second row of them the objects, by name. */
static void walk(int parent, const char *name, unsigned depth, const struct places *at, json_t *out)
{
    _cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct dirent **entries;
    int n = fd < 0 ? -1 : scandirat(fd, ".", &entries, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.' && depth == 0)
            add_object(fd, entries[i]->d_name, at, out);
        else if (entries[i]->d_name[0] != '.')
            walk(fd, entries[i]->d_name, depth - 1, at, out);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int lfs_list(const char *repo, json_t **ret, struct err *err)
{
    struct places at = {json_object(), json_object(), json_object()};
    _cleanup_close_ int fd = open(repo, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    json_t *out = json_array();
    int r = fd < 0 ? err_errno(err, "the repository cannot be opened") : find_places(&at, err);

    if (r == 0)
        walk(fd, "lfs/objects", 2, &at, out);
    json_decref(at.paths);
    json_decref(at.main);
    json_decref(at.named);
    if (r < 0)
        json_decref(out);
    else
        *ret = out;
    return r;
}

int lfs_remove(const char *repo, const char *oid, struct err *err)
{
    char path[PATH_MAX];

    if (!lfs_is_oid(oid))
        return err_set(err, EINVAL, "%.80s is no SHA-256 of an LFS object", oid);
    snprintf(path, sizeof(path), "%s/lfs/objects/%.2s/%.2s/%s", repo, oid, oid + 2, oid);
    return unlink(path) < 0 ? err_set(err, ENOENT, "the LFS object %s is not stored here", oid) : 0;
}
