#include "webui/resume.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/upload.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resume {
    struct resume_store *store;
    char id[RESUME_ID]; /* "": this place is free */
    char key[RESUME_KEY];
    struct resume_whose whose;
    int fd;
    uint64_t size, offset;
    bool busy;
    uint64_t used_ms; /* CLOCK_MONOTONIC */
};

struct resume_store {
    struct app *app;
    pthread_mutex_t lock;
    struct resume places[RESUME_MAX];
};

int resume_store_new(struct resume_store **ret, struct app *app, struct err *err)
{
    struct resume_store *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    s->app = app;
    pthread_mutex_init(&s->lock, NULL);
    for (int i = 0; i < RESUME_MAX; i++)
        s->places[i] = (struct resume){.store = s, .fd = -1};
    *ret = s;
    return 0;
}

static void forget(struct resume *r)
{
    close_fd(&r->fd);
    *r = (struct resume){.store = r->store, .fd = -1};
}

void resume_store_free(struct resume_store *s)
{
    if (!s)
        return;
    for (int i = 0; i < RESUME_MAX; i++)
        forget(&s->places[i]);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void forget_old(struct resume_store *s)
{
    uint64_t now = mono_ms();
    for (int i = 0; i < RESUME_MAX; i++) {
        struct resume *r = &s->places[i];
        if (*r->id && !r->busy && now - r->used_ms > RESUME_IDLE_MS)
            forget(r);
    }
}

/* Whoever asks, without the Space: the text's first word. */
static bool same_person(const struct resume_whose *a, const struct resume_whose *b)
{
    size_t len = strcspn(a->text, " ");
    return len == strcspn(b->text, " ") && !memcmp(a->text, b->text, len);
}

static int begin(struct resume_store *s, const struct resume_whose *whose, uint64_t size,
                 const char *key, struct resume **ret, struct err *err)
{
    struct resume *room = NULL;
    int theirs = 0;
    for (int i = 0; i < RESUME_MAX; i++) {
        struct resume *r = &s->places[i];
        if (!*r->id) {
            room = room ? room : r;
            continue;
        }
        theirs += same_person(&r->whose, whose);
        if (*key && r->size == size && !strcmp(r->key, key) &&
            !strcmp(r->whose.text, whose->text)) {
            *ret = r;
            return 0;
        }
    }
    if (!room || theirs >= RESUME_EACH)
        return err_set(err, EBUSY,
                       "there are %s uploads that were begun and not ended: end one, or try again "
                       "in an hour",
                       room ? "already 4 of yours among the" : "too many");
    int fd = upload_tmpfile(s->app, err);
    if (fd < 0)
        return fd;
    *room = (struct resume){.store = s, .fd = fd, .size = size, .whose = *whose};
    random_hex(room->id, (RESUME_ID - 1) / 2);
    snprintf(room->key, sizeof(room->key), "%s", key);
    *ret = room;
    return 0;
}

int resume_begin(struct resume_store *s, const struct resume_whose *whose, uint64_t size,
                 const char *key, char id[RESUME_ID], uint64_t *ret_offset, struct err *err)
{
    struct resume *r;
    if (size == 0 || strlen(key) >= RESUME_KEY || key[strspn(key, "0123456789abcdef")])
        return err_set(err, EINVAL,
                       "an upload has a size in bytes, and perhaps a key of at most 64 hex digits");
    if (size > s->app->conf->upload_max_archive)
        return upload_too_large(s->app, size, err);
    pthread_mutex_lock(&s->lock);
    forget_old(s);
    int n = begin(s, whose, size, key, &r, err);
    if (n == 0) {
        r->used_ms = mono_ms();
        memcpy(id, r->id, RESUME_ID);
        *ret_offset = r->offset;
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

static struct resume *find(struct resume_store *s, const struct resume_whose *whose, const char *id,
                           struct err *err)
{
    forget_old(s);
    for (int i = 0; i < RESUME_MAX; i++) {
        struct resume *r = &s->places[i];
        if (*r->id && !strcmp(r->id, id) && !strcmp(r->whose.text, whose->text)) {
            r->used_ms = mono_ms();
            return r;
        }
    }
    err_set(err, ENOENT, "there is no such upload (any more): begin it anew");
    return NULL;
}

int resume_look(struct resume_store *s, const struct resume_whose *whose, const char *id,
                uint64_t *ret_offset, uint64_t *ret_size, struct err *err)
{
    pthread_mutex_lock(&s->lock);
    const struct resume *r = find(s, whose, id, err);
    if (r) {
        *ret_offset = r->offset;
        *ret_size = r->size;
    }
    pthread_mutex_unlock(&s->lock);
    return r ? 0 : -ENOENT;
}

int resume_open(struct resume_store *s, const struct resume_whose *whose, const char *id,
                uint64_t offset, struct resume **ret, struct err *err)
{
    int n = 0;
    pthread_mutex_lock(&s->lock);
    struct resume *r = find(s, whose, id, err);
    if (!r)
        n = -ENOENT;
    else if (r->busy)
        n = err_set(err, EBUSY, "another request writes to this upload: try again in a moment");
    else if (r->offset != offset)
        n = err_set(err, EBUSY, "this upload has %llu bytes: go on from there",
                    (unsigned long long)r->offset);
    else
        r->busy = true;
    pthread_mutex_unlock(&s->lock);
    if (n == 0)
        *ret = r;
    return n;
}

/* Who writes is alone, but for those who look. */
int resume_write(struct resume *r, const void *data, size_t len, struct err *err)
{
    if (len > r->size - r->offset)
        return err_set(err, EINVAL, "more bytes came than this upload was to have");
    int n = write_all(r->fd, data, len);
    if (n < 0) {
        /* What was written of it counts as not there. */
        (void)!lseek(r->fd, (off_t)r->offset, SEEK_SET);
        return upload_write_failed(-n, err);
    }
    pthread_mutex_lock(&r->store->lock);
    r->offset += len;
    r->used_ms = mono_ms();
    pthread_mutex_unlock(&r->store->lock);
    return 0;
}

void resume_close(struct resume *r)
{
    if (!r)
        return;
    struct resume_store *s = r->store;
    pthread_mutex_lock(&s->lock);
    r->busy = false;
    r->used_ms = mono_ms();
    pthread_mutex_unlock(&s->lock);
}

int resume_take(struct resume_store *s, const struct resume_whose *whose, const char *id,
                int *ret_fd, struct err *err)
{
    int n = 0;
    pthread_mutex_lock(&s->lock);
    struct resume *r = find(s, whose, id, err);
    if (!r) {
        n = -ENOENT;
    } else if (r->busy || r->offset != r->size) {
        n = err_set(err, EBUSY, "this upload has %llu of its %llu bytes: go on from there",
                    (unsigned long long)r->offset, (unsigned long long)r->size);
    } else {
        *ret_fd = steal_fd(&r->fd);
        forget(r);
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}
