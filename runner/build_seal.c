/* See build_seal.h. */
#include "runner/build_seal.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/usage.h"
#include "common/util.h"
#include "runner/build_env.h"
#include "runner/build_own.h"
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define REST ".rest"
#define ABOUT_MAX 2304
#define BOOT "\nboot "
#define SETTLE_NICE 19 /* somebody's program is starting beside it */

/* ---- in child processes ---- */

struct order {
    char fresh[PATH_MAX], made[PATH_MAX], path[PATH_MAX];
    char about[2048];
    const char *data;
    const char *models; /* lines of models_take, or NULL */
    const char *boot;   /* NULL: it is to be on the disk before it has its name */
    uint64_t space_id;
    char parts[PATH_MAX]; /* of models: what counts as well */
};

static int write_about(const struct order *o, uint64_t bytes, struct err *err)
{
    char path[PATH_MAX + 16], text[ABOUT_MAX];
    int n = snprintf(text, sizeof(text), "bytes %" PRIu64 "%s%s\n%s", bytes, o->boot ? BOOT : "",
                     o->boot ? o->boot : "", o->about);
    snprintf(path, sizeof(path), "%s/about", o->fresh);
    if (!o->boot)
        return file_write_whole(path, text, (size_t)n, 0600, err);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    n = fd < 0 ? -errno : write_all(fd, text, (size_t)n);
    return n < 0 ? err_set(err, -n, "cannot write %s: %s", path, strerror(-n)) : 0;
}

/* Takes away what only the build needed: its work folder, and what other steps left beside it. */
static int tidy(const struct order *o, struct err *err)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/.work", o->made);
    int n = remove_tree(AT_FDCWD, path, err);
    if (n < 0)
        return n;
    snprintf(path, sizeof(path), "%s/env", o->fresh);
    if (strcmp(path, o->made) != 0 && rename(o->made, path) < 0)
        return err_errno(err, "cannot rename %s", o->made);
    _cleanup_closedir_ DIR *dir = opendir(o->fresh);
    for (struct dirent *e; n == 0 && dir && (e = readdir(dir));)
        if (e->d_name[0] != '.' && strcmp(e->d_name, "env") != 0)
            n = remove_tree(dirfd(dir), e->d_name, err);
    return n;
}

/* What it takes on the disk. Files of models that others have as well count for whoever brought
 * them.
 */
static int measure_made(const struct order *o, uint64_t *ret, struct err *err)
{
    struct usage usage, parts = {0};
    int n = usage_of_tree(o->fresh, 0, &usage, err);
    if (n == 0 && o->models)
        n = usage_of_tree(o->parts, 0, &parts, err);
    *ret = usage.bytes + parts.bytes;
    return n;
}

/* Of what a command of the bundle's own made, which may have fetched some. */
static int share_models(const struct order *o, struct err *err)
{
    char app[PATH_MAX + 16];
    struct stat st;
    snprintf(app, sizeof(app), "%s/env/app", o->fresh);
    if (lstat(app, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    return models_share(o->data, app, err);
}

static int seal_on_disk(const void *arg, struct err *err)
{
    const struct order *o = arg;
    uint64_t bytes = 0;
    int n = o->models ? 0 : tidy(o, err);
    if (n == 0 && !o->models)
        n = share_models(o, err);
    if (n == 0)
        n = measure_made(o, &bytes, err);
    if (n == 0 && o->models)
        n = models_take(o->data, o->space_id, o->made, o->models, err);
    if (n == 0 && o->models)
        n = tidy(o, err);
    if (n == 0)
        n = write_about(o, bytes, err);
    if (n < 0)
        return n;
    _cleanup_close_ int fd = open(o->fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || syncfs(fd) < 0)
        return err_errno(err, "cannot sync %s", o->fresh);
    if (renameat2(AT_FDCWD, o->fresh, AT_FDCWD, o->path, RENAME_NOREPLACE) == 0)
        return syncfs(fd) < 0 ? err_errno(err, "cannot sync %s", o->path) : 0;
    if (errno != EEXIST)
        return err_errno(err, "cannot rename %s to %s", o->fresh, o->path);
    return remove_tree(AT_FDCWD, o->fresh, err); /* an equal one is there */
}

/* What only the build needed goes out of the way. */
static int set_aside(const struct order *o, struct err *err)
{
    char rest[PATH_MAX + 16], from[PATH_MAX + 16];
    snprintf(rest, sizeof(rest), "%s/" REST, o->fresh);
    _cleanup_close_ int to =
        mkdir(rest, 0700) < 0 ? -1 : open(rest, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (to < 0)
        return err_errno(err, "cannot make %s", rest);
    snprintf(from, sizeof(from), "%s/.work", o->made);
    if (renameat(AT_FDCWD, from, to, "work") < 0 && errno != ENOENT)
        return err_errno(err, "cannot rename %s", from);
    snprintf(from, sizeof(from), "%s/env", o->fresh);
    if (rename(o->made, from) < 0)
        return err_errno(err, "cannot rename %s", o->made);
    _cleanup_closedir_ DIR *dir = opendir(o->fresh);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.' && strcmp(e->d_name, "env") != 0 &&
            renameat(dirfd(dir), e->d_name, to, e->d_name) < 0)
            return err_errno(err, "cannot rename %s/%s", o->fresh, e->d_name);
    return 0;
}

static int seal_at_once(const struct order *o, struct err *err)
{
    char path[PATH_MAX + 16];
    struct usage usage = {0};
    int n = set_aside(o, err);
    snprintf(path, sizeof(path), "%s/env", o->fresh);
    if (n == 0)
        n = usage_of_names(path, &usage, err); /* uv's cache has the same files */
    if (n == 0)
        n = write_about(o, usage.bytes, err);
    if (n == 0 && renameat2(AT_FDCWD, o->fresh, AT_FDCWD, o->path, RENAME_NOREPLACE) < 0)
        n = errno == EEXIST ? remove_tree(AT_FDCWD, o->fresh, err) /* an equal one is there */
                            : err_errno(err, "cannot rename %s to %s", o->fresh, o->path);
    return n;
}

static int seal(const void *arg, struct err *err)
{
    const struct order *o = arg;
    return o->boot ? seal_at_once(o, err) : seal_on_disk(o, err);
}

/* ---- onto the disk ---- */

enum { UNSETTLED = 1 };

/* UNSETTLED, 0 where it is on the disk, -ESTALE where it may not be whole. `text`: ABOUT_MAX */
static int look(const char *path, const char *boot, char *text)
{
    char about[PATH_MAX + 16];
    snprintf(about, sizeof(about), "%s/about", path);
    if (file_read_small(about, text, ABOUT_MAX) <= 0 || strncmp(text, "bytes ", 6) != 0)
        return -ESTALE;
    const char *line = strstr(text, BOOT);
    if (!line)
        return 0;
    line += sizeof(BOOT) - 1;
    size_t len = strlen(boot);
    return strncmp(line, boot, len) == 0 && line[len] == '\n' ? UNSETTLED : -ESTALE;
}

static int settle_one(const char *path, const char *boot, struct err *err)
{
    char text[ABOUT_MAX], again[ABOUT_MAX + 32], name[PATH_MAX + 16];
    struct usage usage = {0};
    int n = look(path, boot, text);
    if (n != UNSETTLED)
        return 0; /* it is; or it was taken away meanwhile */
    snprintf(name, sizeof(name), "%s/" REST, path);
    n = remove_tree(AT_FDCWD, name, err);
    snprintf(name, sizeof(name), "%s/env", path);
    if (n == 0)
        n = usage_of_tree(name, 0, &usage, err);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (n == 0 && (fd < 0 || syncfs(fd) < 0))
        n = err_errno(err, "cannot sync %s", path);
    if (n < 0)
        return n;
    char *line = strstr(text, BOOT), *after = line + 1 + strcspn(line + 1, "\n");
    n = snprintf(again, sizeof(again), "bytes %" PRIu64 "%s\n", usage.bytes, after);
    snprintf(name, sizeof(name), "%s/about", path);
    return file_write_whole(name, again, (size_t)n, 0600, err);
}

struct settling {
    char path[PATH_MAX];
    const char *boot;
};

static int settle(const void *arg, struct err *err)
{
    const struct settling *s = arg;
    (void)setpriority(PRIO_PROCESS, 0, SETTLE_NICE);
    int n = settle_one(s->path, s->boot, err);
    return n == -ENOENT ? 0 : n; /* it was taken away meanwhile */
}

/* ---- the runner's ---- */

int env_seal(struct build *b, const char *name, void (*done)(void *b, int code), struct err *err)
{
    static struct order o;
    o = (struct order){.data = b->r->data, .space_id = b->space->id};
    if (b->phase == PHASE_MODELS_SEAL) {
        o.models = b->found.len ? b->found.data : "";
        snprintf(o.parts, sizeof(o.parts), "%s/" MODELS_PARTS "/%" PRIu64, b->r->data,
                 b->space->id);
    }
    if (b->phase == PHASE_SEAL && !build_is_npm(b))
        o.boot = b->r->boot_id;
    env_fresh_path(b, "", o.fresh, sizeof(o.fresh));
    env_fresh_path(b, name, o.made, sizeof(o.made));
    snprintf(o.path, sizeof(o.path), "%s/envs/%s", b->r->data, b->key);
    snprintf(o.about, sizeof(o.about), "kind %s\npython %s\nfor %s\n", lock_kind_name(b->kind),
             b->python, b->space->full_name);
    return chore_begin(b->r, seal, &o, done, b, err);
}

static void on_settled(void *owner, int code)
{
    (void)owner;
    if (code)
        log_warn(NULL, "env.settle", "an environment is not on the disk yet: %s", strerror(code));
}

void env_settle(struct runner *r, const char *key)
{
    static struct settling s;
    struct err err = {0};
    s.boot = r->boot_id;
    snprintf(s.path, sizeof(s.path), "%s/envs/%s", r->data, key);
    if (chore_begin(r, settle, &s, on_settled, r, &err) < 0)
        log_warn(NULL, "env.settle", "%s", err.msg);
}

/* Its name is free at once; what it holds goes with what else is left (env_sweep). */
static void take_away(struct runner *r, const char *envs, const char *key)
{
    char path[PATH_MAX + 256], old[PATH_MAX + 288];
    snprintf(path, sizeof(path), "%s/%s", envs, key);
    snprintf(old, sizeof(old), "%s/.old-%s-%" PRIu64, envs, key, ++r->last_job_id);
    log_warn(NULL, "env.torn",
             "environment %.12s was not on the disk when the machine went down: it is built again "
             "when it is needed",
             key);
    if (rename(path, old) < 0 || life_env_remove(r, key, NULL) < 0)
        log_error(NULL, "env.torn", "environment %.12s could not be taken away: %s", key,
                  strerror(errno));
}

void env_settle_all(struct runner *r)
{
    char envs[PATH_MAX], path[PATH_MAX + 256], text[ABOUT_MAX];
    snprintf(envs, sizeof(envs), "%s/envs", r->data);
    _cleanup_closedir_ DIR *dir = opendir(envs);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", envs, e->d_name);
        int n = look(path, r->boot_id, text);
        if (n == UNSETTLED)
            env_settle(r, e->d_name);
        else if (n < 0)
            take_away(r, envs, e->d_name);
    }
}
