#include "runner/build_env.h"

#include "common/built.h"
#include "common/cleanup.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/usage.h"
#include "common/util.h"
#include "runner/build_models.h"
#include "runner/build_own.h"
#include "runner/bytecode.h"
#include "runner/chore.h"
#include "runner/events.h"
#include "runner/life_build.h"
#include "runner/models.h"
#include "runner/runner.h"
#include "runner/space.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define COLLECT_FIRST_MS 5000 /* once those who run have said so */
#define COLLECT_EACH_MS 600000
#define COLLECT_A_TURN 16
#define MODELS_SLACK (16u << 20) /* folders, links; its program keeps to the limit itself */
#define JUST_USED_MS                                                                               \
    600000 /* not removed for want of room: somebody may be about to start in it                   \
            */

void env_path(const struct runner *r, const char *key, char *out, size_t size)
{
    built_env_path(r->data, key, out, size);
}

bool env_is_there(const struct runner *r, const char *key)
{
    char path[PATH_MAX];
    struct stat st;
    env_path(r, key, path, sizeof(path));
    return key[0] && lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void env_fresh_path(const struct build *b, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/envs/.new-%" PRIu64 "%s%s", b->r->data, b->id, name[0] ? "/" : "",
             name);
}

int env_make_fresh(struct build *b, const char *name, struct err *err)
{
    char path[PATH_MAX];
    env_fresh_path(b, "", path, sizeof(path));
    int n = mkdir_p(path, 0700, err);
    if (n < 0)
        return n;
    env_fresh_path(b, name, path, sizeof(path));
    n = remove_tree(AT_FDCWD, path, err); /* of an earlier try */
    uid_t uid = b->r->range.first + 1 + b->space->uid_index;
    if (n == 0 && (mkdir(path, 0700) < 0 || chmod(path, 0755) < 0 || lchown(path, uid, uid) < 0))
        n = err_errno(err, "cannot make the folder of a build");
    return n;
}

/* ---- in child processes ---- */

struct order {
    char fresh[PATH_MAX];
    uint64_t most_bytes, most_inodes;
    char parts[PATH_MAX]; /* what counts as well; "" nothing */
};

static int measure(const void *arg, struct err *err)
{
    const struct order *o = arg;
    struct usage usage, parts = {0};
    int n = usage_of_tree(o->fresh, o->most_inodes, &usage, err);
    if (n == 0 && o->parts[0])
        n = usage_of_tree(o->parts, o->most_inodes, &parts, err);
    if (n < 0)
        return n;
    usage.bytes += parts.bytes;
    return usage.bytes > o->most_bytes ? -EFBIG : usage.inodes > o->most_inodes ? -EMFILE : 0;
}

static int remove_fresh(const void *arg, struct err *err)
{
    const struct order *o = arg;
    return remove_tree(AT_FDCWD, o->fresh, err);
}

static void fill_order(const struct build *b, struct order *o)
{
    bool models = b->phase == PHASE_MODELS;
    *o = (struct order){.most_bytes = models ? conf_of(b->r)->build_preload_size + MODELS_SLACK
                                             : conf_of(b->r)->build_size,
                        .most_inodes = conf_of(b->r)->build_inodes};
    if (models)
        snprintf(o->parts, sizeof(o->parts), "%s/" MODELS_PARTS "/%" PRIu64, b->r->data,
                 b->space->id);
    env_fresh_path(b, "", o->fresh, sizeof(o->fresh));
}

int env_measure(struct build *b, void (*done)(void *b, int code), struct err *err)
{
    static struct order o;
    fill_order(b, &o);
    return chore_begin(b->r, measure, &o, done, b, err);
}

int env_remove_fresh(struct build *b, void (*done)(void *b, int code), struct err *err)
{
    static struct order o;
    fill_order(b, &o);
    return chore_begin(b->r, remove_fresh, &o, done, b, err);
}

uint64_t env_bytes(const struct runner *r, const char *key)
{
    char path[PATH_MAX], text[2304];
    uint64_t bytes = 0;
    snprintf(path, sizeof(path), "%s/envs/%s/about", r->data, key);
    if (file_read_small(path, text, sizeof(text)) > 0)
        sscanf(text, "bytes %" SCNu64, &bytes);
    return bytes;
}

/* ---- those that nobody needs ---- */

struct removal {
    char data[PATH_MAX - 256];
    char keys[COLLECT_A_TURN][65];
    unsigned n;
};

static int remove_envs(const void *arg, struct err *err)
{
    const struct removal *m = arg;
    int n = 0;
    for (unsigned i = 0; n == 0 && i < m->n; i++) {
        char old[PATH_MAX];
        snprintf(old, sizeof(old), "%s/envs/.old-%s", m->data, m->keys[i]);
        n = remove_tree(AT_FDCWD, old, err);
    }
    return n;
}

static void on_collected(void *owner, int code)
{
    if (code)
        log_warn(NULL, "env.collect", "environments are left: %s", strerror(code));
    build_models_sweep(owner); /* a cache of models may have been one of them */
}

/* Versions that are about to start, or run, and whose rows do not say so. */
static bool is_meant(const struct runner *r, const char *key)
{
    if (bytecode_reads(r, key))
        return true;
    for (const struct build *b = r->builds; b; b = b->next)
        if (strcmp(b->key, key) == 0 || strcmp(b->layer, key) == 0 || strcmp(b->models, key) == 0)
            return true;
    for (size_t i = 0; i < RUNNER_SPACE_BUCKETS; i++) {
        for (const struct space *s = r->spaces[i]; s; s = s->next) {
            char env[65];
            if (s->state != LC_SWITCHING && s->state != LC_REBUILDING)
                continue;
            if (life_build_env((struct runner *)r, s->id, s->beside.id, env, NULL) == 1 &&
                strcmp(env, key) == 0)
                return true;
            if (life_build_layer((struct runner *)r, s->id, s->beside.id, env, NULL) == 1 &&
                strcmp(env, key) == 0)
                return true;
            if (life_build_models((struct runner *)r, s->id, s->beside.id, env, NULL) == 1 &&
                strcmp(env, key) == 0)
                return true;
        }
    }
    return false;
}

/* At once: a build that makes the same again meanwhile must not be given what is being removed. */
static int take_name(const struct runner *r, const char *key)
{
    char path[PATH_MAX], old[PATH_MAX];
    snprintf(path, sizeof(path), "%s/envs/%s", r->data, key);
    snprintf(old, sizeof(old), "%s/envs/.old-%s", r->data, key);
    return rename(path, old) < 0 && errno != ENOENT ? -errno : 0;
}

static void collect(struct runner *r)
{
    static struct removal m;
    const struct conf *c = conf_of(r);
    uint64_t now = now_ms(), total = 0, used_ms, bytes;
    char key[65] = "", after[65] = "";
    m.n = 0;
    snprintf(m.data, sizeof(m.data), "%s", r->data);
    life_envs_mark_used(r);
    total = life_envs_bytes(r);
    uint64_t after_ms = 0;
    while (m.n < COLLECT_A_TURN &&
           life_env_unused_after(r, after_ms, after, key, &used_ms, &bytes)) {
        uint64_t age = now > used_ms ? now - used_ms : 0;
        after_ms = used_ms;
        memcpy(after, key, sizeof(after));
        bool old = age >= c->build_env_keep, no_room = total > c->build_env_size;
        if (!old && !(no_room && age >= JUST_USED_MS))
            break; /* those that follow were used later */
        if (is_meant(r, key))
            continue;
        if (life_env_remove(r, key, NULL) < 0 || take_name(r, key) < 0)
            break;
        total -= bytes < total ? bytes : total;
        snprintf(m.keys[m.n++], sizeof(m.keys[0]), "%s", key);
        event_add(r, NULL, 0, "env.removed", "%.12s: no version in use needs it", key);
    }
    struct err err = {0};
    if (m.n && chore_begin(r, remove_envs, &m, on_collected, r, &err) < 0)
        log_warn(NULL, "env.collect", "%s", err.msg);
    if (!m.n)
        build_models_sweep(r);
}

static void on_collect(void *arg)
{
    struct runner *r = arg;
    if (r->stopping)
        return;
    collect(r);
    loop_timer_set(r->loop, &r->collect_timer, COLLECT_EACH_MS);
}

void env_collect_begin(struct runner *r)
{
    uint64_t keep = conf_of(r)->build_env_keep;
    r->collect_timer = (struct loop_timer){.fn = on_collect, .arg = r};
    loop_timer_set(r->loop, &r->collect_timer, keep < COLLECT_FIRST_MS ? keep : COLLECT_FIRST_MS);
}

int env_sweep(const struct runner *r, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/envs", r->data);
    _cleanup_closedir_ DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        uint64_t id;
        bool fresh = sscanf(e->d_name, ".new-%" SCNu64, &id) == 1 && id < r->first_job_id;
        if ((fresh || strncmp(e->d_name, ".old-", 5) == 0) &&
            remove_tree(dirfd(dir), e->d_name, err) < 0)
            return -err->code;
    }
    return 0;
}
