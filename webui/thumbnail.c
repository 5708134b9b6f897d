#include "webui/thumbnail.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "webui/pages.h"
#include "webui/reach.h"
#include "webui/repo.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BYTES_MAX (1 << 20)
#define KEPT 64 /* pictures; each takes a job sandbox to read */
#define KEPT_BYTES_MAX (256 << 10)

struct kept {
    char key[600]; /* Space, version and path */
    char *data;
    size_t len;
    uint64_t used;
};

struct thumbnails {
    pthread_mutex_t lock;
    uint64_t clock;
    struct kept kept[KEPT];
};

int thumbnails_new(struct thumbnails **ret, struct err *err)
{
    struct thumbnails *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(err, ENOMEM, "out of memory");
    pthread_mutex_init(&t->lock, NULL);
    *ret = t;
    return 0;
}

void thumbnails_free(struct thumbnails *t)
{
    for (int i = 0; t && i < KEPT; i++)
        free(t->kept[i].data);
    if (t)
        pthread_mutex_destroy(&t->lock);
    free(t);
}

/* By its first bytes, whatever its name says: nothing that a browser would run. */
static const char *type_of(const char *p, size_t len)
{
    static const struct {
        const char *type, *magic;
        size_t len;
    } types[] = {
        {"image/png", "\x89PNG\r\n\x1a\n", 8},
        {"image/jpeg", "\xff\xd8\xff", 3},
        {"image/gif", "GIF87a", 6},
        {"image/gif", "GIF89a", 6},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (len >= types[i].len && memcmp(p, types[i].magic, types[i].len) == 0)
            return types[i].type;
    return len >= 12 && memcmp(p, "RIFF", 4) == 0 && memcmp(p + 8, "WEBP", 4) == 0 ? "image/webp"
                                                                                   : NULL;
}

static bool is_picture_name(const char *path)
{
    static const char *const ends[] = {".png", ".jpg", ".jpeg", ".gif", ".webp"};
    size_t len = strlen(path);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (len > strlen(ends[i]) && strcasecmp(path + len - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

/* The path in the bundle; NULL where the card names something else. */
static const char *path_of(const struct space *space)
{
    const char *path = space->thumbnail;
    if (!*path || !*space->sha || strstr(path, "://") || strncmp(path, "//", 2) == 0)
        return NULL;
    path += strncmp(path, "./", 2) == 0 ? 2 : *path == '/';
    return is_picture_name(path) ? path : NULL;
}

void thumbnail_url(const struct space *space, char out[400])
{
    out[0] = 0;
    if (path_of(space))
        snprintf(out, 400, "/spaces/%s/thumbnail?v=%.16s", space->full, space->sha);
}

static bool find_kept(struct thumbnails *t, const char *key, struct buf *out)
{
    bool found = false;
    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < KEPT && !found; i++) {
        struct kept *k = &t->kept[i];
        if (k->data && strcmp(k->key, key) == 0) {
            k->used = ++t->clock;
            found = buf_append(out, k->data, k->len) == 0;
        }
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

static void keep(struct thumbnails *t, const char *key, const struct buf *picture)
{
    char *copy = picture->len <= KEPT_BYTES_MAX ? malloc(picture->len) : NULL;
    if (!copy)
        return;
    memcpy(copy, picture->data, picture->len);
    pthread_mutex_lock(&t->lock);
    struct kept *oldest = &t->kept[0];
    for (int i = 1; i < KEPT; i++)
        if (t->kept[i].used < oldest->used)
            oldest = &t->kept[i];
    free(oldest->data);
    *oldest = (struct kept){.data = copy, .len = picture->len, .used = ++t->clock};
    snprintf(oldest->key, sizeof oldest->key, "%s", key);
    pthread_mutex_unlock(&t->lock);
}

enum MHD_Result page_thumbnail(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    char key[600];
    _cleanup_buf_ struct buf picture = BUF_INIT(BYTES_MAX);
    if (!reach_space(r, &v, &answer))
        return answer;
    const char *path = path_of(&v.space);
    if (!path)
        return req_error(r, 404, "%s has no picture of its own", v.space.full);
    snprintf(key, sizeof key, "%lld %.64s %.500s", (long long)v.space.id, v.space.sha, path);
    if (!find_kept(r->app->thumbnails, key, &picture)) {
        if (repo_file_read(r->app, &v.space, v.space.sha, path, &picture, &err) < 0)
            return req_fail(r, &err);
        if (picture.len && type_of(picture.data, picture.len))
            keep(r->app->thumbnails, key, &picture);
    }
    const char *type = picture.len ? type_of(picture.data, picture.len) : NULL;
    if (!type)
        return req_error(r, 404, "the thumbnail of %s is no PNG, JPEG, GIF or WebP picture",
                         v.space.full);
    return req_picture(r, type, &picture);
}
