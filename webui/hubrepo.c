#include "webui/hubrepo.h"

#include "common/cleanup.h"
#include "webui/repo.h"
#include "webui/text.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define FILES_MAX 200000
#define KEPT 32
#define KEPT_FILES 4096 /* of each */

enum MHD_Result hubrepo_fail(struct req *r, const struct err *err)
{
    if (err->internal || (err->code != ENXIO && err->code != ENOENT))
        return req_fail(r, err);
    r->error_code = err->code == ENXIO ? "RevisionNotFound" : "EntryNotFound";
    return req_error(r, 404, "%s", err->msg);
}

/* ---- files of a commit: a commit does not change, and asking takes a job ---- */

static struct kept {
    int64_t space_id;
    char sha[65];
    uint64_t used; /* counts up */
    json_t *files;
} kept[KEPT];
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

static json_t *find_kept(int64_t space_id, const char *sha)
{
    static uint64_t clock;
    json_t *found = NULL;
    pthread_mutex_lock(&kept_lock);
    for (struct kept *k = kept; k < kept + KEPT && !found; k++) {
        if (k->files && k->space_id == space_id && strcmp(k->sha, sha) == 0) {
            k->used = ++clock;
            found = json_deep_copy(k->files);
        }
    }
    pthread_mutex_unlock(&kept_lock);
    return found;
}

static void keep(int64_t space_id, const char *sha, const json_t *files)
{
    if (!*sha || json_array_size(files) > KEPT_FILES)
        return;
    json_t *copy = json_deep_copy(files);
    pthread_mutex_lock(&kept_lock);
    struct kept *oldest = kept;
    for (struct kept *k = kept; k < kept + KEPT; k++)
        if (k->used < oldest->used)
            oldest = k;
    json_decref(oldest->files);
    *oldest = (struct kept){.space_id = space_id, .used = oldest->used + 1, .files = copy};
    text_copy(oldest->sha, sizeof oldest->sha, sha);
    pthread_mutex_unlock(&kept_lock);
}

/* An item of a tree as an info names it. */
static json_t *sibling(json_t *item)
{
    json_t *o = json_object(), *lfs = json_object_get(item, "lfs");
    json_object_set(o, "rfilename", json_object_get(item, "path"));
    json_object_set(o, "size", json_object_get(item, "size"));
    json_object_set(o, "blobId", json_object_get(item, "oid"));
    if (json_is_object(lfs)) {
        json_t *l = json_object();
        json_object_set(l, "sha256", json_object_get(lfs, "oid"));
        json_object_set(l, "size", json_object_get(lfs, "size"));
        json_object_set(l, "pointerSize", json_object_get(lfs, "pointerSize"));
        json_object_set_new(o, "lfs", l);
    }
    return o;
}

json_t *hubrepo_siblings(struct app *app, const struct space *space, const char *rev,
                         char ret_sha[65], struct err *err)
{
    json_t *files = find_kept(space->id, rev), *tree, *item;
    if (files) {
        text_copy(ret_sha, 65, rev);
        return files;
    }
    if (repo_tree(app, space, rev, "", true, 0, FILES_MAX, &tree, err) < 0)
        return NULL;
    const char *sha = json_string_value(json_object_get(tree, "sha"));
    text_copy(ret_sha, 65, sha ? sha : "");
    size_t i;
    files = json_array();
    json_array_foreach(json_object_get(tree, "items"), i, item)
    {
        const char *type = json_string_value(json_object_get(item, "type"));
        if (type && strcmp(type, "file") == 0)
            json_array_append_new(files, sibling(item));
    }
    json_decref(tree);
    keep(space->id, ret_sha, files);
    return files;
}
