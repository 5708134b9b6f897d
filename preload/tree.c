/* The layout of huggingface_hub's cache: blobs/ETAG, refs/REVISION with a commit in it, and
 * snapshots/COMMIT/PATH, links to the blobs. The blobs come from outside (runner/models.c). */
#include "preload/preload.h"

#include "common/preload_entry.h"
#include "common/util.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int tree_folder(const char *repo, char *out, size_t size, struct err *err)
{
    const char *slash = strchr(repo, '/');
    if (slash)
        snprintf(out, size, "models--%.*s--%s", (int)(slash - repo), repo, slash + 1);
    else
        snprintf(out, size, "models--%s", repo);
    char blobs[PATH_MAX];
    snprintf(blobs, sizeof(blobs), PRELOAD_TREE "/%s/blobs", out);
    return mkdir_p(blobs, 0755, err);
}

static int make_parent(char *path, struct err *err)
{
    char *slash = strrchr(path, '/');
    *slash = '\0';
    int r = mkdir_p(path, 0755, err);
    *slash = '/';
    return r;
}

int tree_add_ref(const char *folder, const char *revision, const char *commit, struct err *err)
{
    char path[PATH_MAX];
    if (strcmp(revision, commit) == 0)
        return 0;
    snprintf(path, sizeof(path), PRELOAD_TREE "/%s/refs/%s", folder, revision);
    int r = make_parent(path, err);
    if (r == 0)
        r = file_write_whole(path, commit, strlen(commit), 0644, err);
    if (r == 0)
        printf("model ref %s %s %s\n", folder, commit, revision);
    return r;
}

int tree_add_file(const char *folder, const struct file *f, struct err *err)
{
    char path[PATH_MAX], target[PATH_MAX] = "../../";
    snprintf(path, sizeof(path), PRELOAD_TREE "/%s/snapshots/%s/%s", folder, f->meta.commit,
             f->path);
    for (const char *c = f->path; (c = strchr(c, '/')); c++)
        if (strlen(target) + 3 + HUB_WORD + 6 < sizeof(target))
            memcpy(target + strlen(target), "../", 4);
    size_t n = strlen(target);
    snprintf(target + n, sizeof(target) - n, "blobs/%s", f->meta.etag);
    int r = make_parent(path, err);
    if (r == 0 && symlink(target, path) < 0 && errno != EEXIST)
        r = err_errno(err, "%s: cannot make its link", f->path);
    if (r == 0)
        printf("model file %s %s %s %s\n", folder, f->meta.commit, f->meta.etag, f->path);
    return r;
}
