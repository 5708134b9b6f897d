/* See bytecode.h. */
#include "runner/bytecode.h"

#include "common/assets.h"
#include "common/cleanup.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/usage.h"
#include "common/util.h"
#include "runner/build_env.h"
#include "runner/build.h"
#include "runner/chore.h"
#include "runner/life_build.h"
#include "runner/recipe.h"
#include "runner/runner.h"
#include "runner/start_list.h"
#include "runner/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENV_DIR "/run/vitrine/env"
#define BYTECODE_DIR "/run/vitrine/bytecode" /* as static/bytecode.py has it */
#define LOOK_MS 500
#define WAIT_MAX_MS 60000 /* on a server where something always starts */
#define PAUSE_MS 30000    /* after a start that the platform was in the way of */
#define CPU_MILLI 1000    /* it is one process */
#define IO_WEIGHT 10

extern const struct asset runner_assets[];

struct bytecode {
    struct runner *r;
    struct loop_timer timer, deadline;
    uint64_t since_ms;     /* when there was something to do first; 0: nothing is known */
    char key[65];          /* of the one that is being made, "" for none */
    struct worker *worker; /* NULL: not yet, or not any more */
};

static void look_in(struct bytecode *c, uint64_t ms)
{
    loop_timer_set(c->r->loop, &c->timer, ms);
}

bool bytecode_reads(const struct runner *r, const char *key)
{
    return r->bytecode && strcmp(r->bytecode->key, key) == 0;
}

/* ---- the end of one ---- */

struct order {
    char fresh[PATH_MAX], made[PATH_MAX];
    bool keep;
};

static void fill_order(const struct bytecode *c, bool keep, struct order *o)
{
    o->keep = keep;
    snprintf(o->fresh, sizeof(o->fresh), "%s/envs/%s/.bytecode", c->r->data, c->key);
    snprintf(o->made, sizeof(o->made), "%s/envs/%s/bytecode", c->r->data, c->key);
}

/* In a child process. */
static int finish(const void *arg, struct err *err)
{
    const struct order *o = arg;
    struct usage usage;
    char path[PATH_MAX + 16], text[64];
    if (!o->keep)
        return remove_tree(AT_FDCWD, o->fresh, err);
    int n = usage_of_tree(o->fresh, 0, &usage, err);
    if (n < 0)
        return n;
    snprintf(path, sizeof(path), "%s/about", o->fresh);
    snprintf(text, sizeof(text), "bytes %" PRIu64 "\n", usage.bytes);
    n = file_write_whole(path, text, strlen(text), 0600, err);
    _cleanup_close_ int fd = open(o->fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (n == 0 && (fd < 0 || syncfs(fd) < 0))
        n = err_errno(err, "cannot sync %s", o->fresh);
    if (n == 0 && renameat2(AT_FDCWD, o->fresh, AT_FDCWD, o->made, RENAME_NOREPLACE) < 0)
        n = err_errno(err, "cannot rename %s to %s", o->fresh, o->made);
    return n;
}

static uint64_t bytes_of(const struct bytecode *c)
{
    char path[PATH_MAX], text[64];
    uint64_t bytes = 0;
    snprintf(path, sizeof(path), "%s/envs/%s/bytecode/about", c->r->data, c->key);
    if (file_read_small(path, text, sizeof(text)) > 0)
        sscanf(text, "bytes %" SCNu64, &bytes);
    return bytes;
}

static void over(struct bytecode *c, enum life_bytecode state)
{
    if (life_env_compiled(c->r, c->key, state, state == BYTECODE_MADE ? bytes_of(c) : 0, NULL) < 0)
        log_warn(NULL, "bytecode.row", "life.db could not be written");
    c->key[0] = 0;
    c->since_ms = 0;
    look_in(c, LOOK_MS);
}

static void on_kept(void *arg, int code)
{
    over(arg, code ? BYTECODE_FAILED : BYTECODE_MADE);
}

static void on_removed(void *arg, int code)
{
    (void)code; /* what is left goes with the environment */
    over(arg, BYTECODE_FAILED);
}

static void end(struct bytecode *c, bool keep)
{
    static struct order o;
    struct err err = {0};
    fill_order(c, keep, &o);
    if (chore_begin(c->r, finish, &o, keep ? on_kept : on_removed, c, &err) == 0)
        return;
    log_warn(NULL, "bytecode.end", "%s", err.msg);
    c->key[0] = 0; /* later, anew */
    look_in(c, PAUSE_MS);
}

static void on_end(struct worker *w, const struct worker_end *e)
{
    struct bytecode *c = w->owner;
    bool ok = e->reason == EXIT_EXITED && e->status == 0;
    char text[512];
    c->worker = NULL;
    loop_timer_cancel(c->r->loop, &c->deadline);
    if (c->r->stopping || worker_is_held_up(e->code)) {
        c->key[0] = 0;
        if (!c->r->stopping)
            look_in(c, PAUSE_MS);
        return;
    }
    if (!ok) {
        worker_end_text(&w->limits, e, text, sizeof(text));
        log_warn(NULL, "bytecode.failed",
                 "the Python files of environment %.12s are compiled at each start: %s", c->key,
                 text);
    }
    end(c, ok);
}

static void on_deadline(void *arg)
{
    struct bytecode *c = arg;
    if (c->worker)
        worker_stop(c->worker, 0);
}

/* ---- the start of one ---- */

/* A folder for it, and who it is to be: the one who made the environment. */
static int make_fresh(const struct bytecode *c, uint32_t *ret_uid_index, char *folder, size_t size,
                      struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    env_path(c->r, c->key, path, sizeof(path));
    if (lstat(path, &st) < 0)
        return err_errno(err, "cannot look at %s", path);
    snprintf(path, sizeof(path), "%s/envs/%s/.bytecode", c->r->data, c->key);
    snprintf(folder, size, "%s/envs/%s/.bytecode/env", c->r->data, c->key);
    int n = remove_tree(AT_FDCWD, path, err); /* of an earlier try */
    if (n == 0 && (mkdir(path, 0700) < 0 || mkdir(folder, 0700) < 0 || chmod(folder, 0755) < 0 ||
                   lchown(folder, st.st_uid, st.st_gid) < 0))
        n = err_errno(err, "cannot make the folder %s", folder);
    *ret_uid_index = (uint32_t)(st.st_uid - c->r->range.first - 1);
    return n;
}

static int fill(struct bytecode *c, struct worker *w, const char *python, struct proto_start *start,
                struct err *err)
{
    const struct conf *conf = conf_of(c->r);
    const struct asset *script = asset_find(runner_assets, "static/bytecode.py");
    char folder[PATH_MAX], path[PATH_MAX];
    memset(start, 0, sizeof(*start));
    int n = make_fresh(c, &start->uid_index, folder, sizeof(folder), err);
    if (n < 0)
        return n;
    w->limits.v[LIMIT_MEMORY] = conf->build_memory;
    w->limits.v[LIMIT_CPU] = conf->build_cpu < CPU_MILLI ? conf->build_cpu : CPU_MILLI;
    w->limits.v[LIMIT_PIDS] = conf->build_pids;
    w->limits.v[LIMIT_FILE_SIZE] = conf->build_size;
    recipe_limits(start, c->r, &w->limits);
    start->io_weight = IO_WEIGHT;
    snprintf(start->hostname, sizeof(start->hostname), "build");
    snprintf(start->cwd, sizeof(start->cwd), "/tmp");
    struct start_list argv = START_LIST(start, argv);
    struct start_list env = START_LIST(start, env);
    struct start_list mounts = START_LIST(start, mounts);
    env_path(c->r, c->key, path, sizeof(path));
    start_list_add(&argv, "%s", python);
    for (const char *const *o = (const char *const[]){"-I", "-S", "-B", "-c", NULL}; *o; o++)
        start_list_add(&argv, "%s", *o);
    start_list_add(&argv, "%s", (const char *)script->data);
    start_list_add(&argv, "%" PRIu64, conf->build_size);
    start_list_add(&env, "PATH=/usr/local/bin:/usr/bin:/bin");
    start_list_add(&env, "LANG=C.UTF-8");
    start_list_add(&mounts, "ro:%s:" ENV_DIR, path);
    start_list_add(&mounts, "rw:%s:" BYTECODE_DIR, folder);
    n = argv.failed ? argv.failed : env.failed ? env.failed : mounts.failed;
    return n < 0 ? err_set(err, -n, "the path of the data folder is too long") : 0;
}

static int start(struct bytecode *c, const char *python, struct err *err)
{
    static struct proto_start message; /* large */
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return err_errno(err, "cannot open /dev/null");
    struct worker *w = worker_new(c->r, NULL);
    if (!w)
        return err_set(err, ENOMEM, "no memory for a job");
    w->id = ++c->r->last_job_id;
    w->on_end = on_end;
    w->owner = c;
    int n = fill(c, w, python, &message, err);
    if (n == 0)
        n = worker_start(w, &message, (int[]){null, null, null}, err);
    if (n < 0) {
        worker_free(w);
        return n;
    }
    c->worker = w;
    loop_timer_set(c->r->loop, &c->deadline, conf_of(c->r)->build_timeout);
    return 0;
}

/* Somebody waits for a build or for a start. */
static bool is_awaited(const struct runner *r)
{
    for (const struct worker *w = r->workers; w; w = w->next)
        if (w->space && w->state == WORKER_STARTING)
            return true;
    return r->builds != NULL;
}

static void on_look(void *arg)
{
    struct bytecode *c = arg;
    char python[256];
    struct err err = {0};
    if (c->r->stopping || c->key[0])
        return;
    if (life_env_uncompiled(c->r, c->key, python, sizeof(python), NULL) != 1) {
        c->key[0] = 0;
        c->since_ms = 0;
        return;
    }
    if (!c->since_ms)
        c->since_ms = mono_ms();
    if (is_awaited(c->r) && mono_ms() - c->since_ms < WAIT_MAX_MS) {
        c->key[0] = 0;
        look_in(c, LOOK_MS);
        return;
    }
    if (!env_is_there(c->r, c->key)) { /* somebody made room by hand */
        over(c, BYTECODE_FAILED);
        return;
    }
    if (start(c, python, &err) == 0)
        return;
    log_warn(NULL, "bytecode.start", "%s", err.msg);
    c->key[0] = 0;
    look_in(c, PAUSE_MS);
}

void bytecode_begin(struct runner *r)
{
    struct bytecode *c = calloc(1, sizeof(*c));
    if (!c)
        return;
    *c = (struct bytecode){.r = r};
    c->timer = (struct loop_timer){.fn = on_look, .arg = c};
    c->deadline = (struct loop_timer){.fn = on_deadline, .arg = c};
    r->bytecode = c;
    look_in(c, LOOK_MS);
}

void bytecode_wake(struct runner *r)
{
    if (r->bytecode && !r->bytecode->key[0])
        look_in(r->bytecode, LOOK_MS);
}

void bytecode_stop(struct runner *r)
{
    if (r->bytecode)
        on_deadline(r->bytecode);
}

void bytecode_free(struct runner *r)
{
    free(r->bytecode);
    r->bytecode = NULL;
}
