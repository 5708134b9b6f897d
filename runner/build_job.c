/* The sandboxes of builds: started for a step, read line by line, ended. */
#include "runner/build_own.h"

#include "common/cleanup.h"
#include "common/conf.h"
#include "common/limits_met.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/build_index.h"
#include "runner/build_models.h"
#include "runner/build_env.h"
#include "runner/egress.h"
#include "runner/environment.h"
#include "runner/gateway.h"
#include "runner/layer.h"
#include "runner/logs.h"
#include "runner/models.h"
#include "runner/public.h"
#include "runner/recipe.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/start_list.h"
#include "runner/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#define JOB_PROGRAM "/run/vitrine/vitrine-job"
#define ENV_DIR "/run/vitrine/env"
#define DEBS_DIR "/run/vitrine/debs"
#define APP "/home/user/app"
#define LINE_BYTES (64 * 1024) /* of a lock: a package with many hashes */
#define PRINTED_MAX (64ull << 20)
#define CHUNKS_A_TURN 4
#define WAIT_LINE_EACH_MS 50

void build_say(struct build *b, const char *step, const char *fmt, ...)
{
    char text[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    uint64_t now = mono_ms();
    b->logged += strlen(text) + strlen(step) + 28;
    if (b->logged <= conf_of(b->r)->limits_log_size)
        logs_build(b->r, b->space->id, false, "%s: %s", step, text);
    else if (!b->log_cut)
        logs_build(b->r, b->space->id, false,
                   "%s: the log is full (limits.log_size); what follows "
                   "is not kept",
                   step);
    b->log_cut = b->logged > conf_of(b->r)->limits_log_size;
    if (b->cancelled || now - b->wait_line_ms < WAIT_LINE_EACH_MS)
        return;
    b->wait_line_ms = now;
    char line[1024];
    snprintf(line, sizeof(line), "%.20s: %.900s", step, text);
    gateway_wait_line(b->space, line);
}

/* ---- what it says ---- */

static void take_log(struct build *b, char *text)
{
    char *end = text + strcspn(text, " ");
    if (!*end || end - text > 20)
        return;
    *end = 0;
    for (char *c = text; *c; c++)
        *c = *c >= 'a' && *c <= 'z' ? *c : '?';
    build_say(b, text, "%s", end + 1);
}

static void take_line(struct build *b, char *line)
{
    if (strncmp(line, "log ", 4) == 0) {
        take_log(b, line + 4);
    } else if (strncmp(line, "lock ", 5) == 0 && b->phase == PHASE_RESOLVE) {
        if (buf_printf(&b->lock, "%s\n", line + 5) < 0)
            build_fail(b, "its lock is longer than this server takes");
    } else if (strncmp(line, "deb ", 4) == 0 && b->phase == PHASE_DEBS) {
        if (buf_printf(&b->debs, "%s\n", line + 4) < 0)
            build_fail(b, "its packages are more than this server takes");
    } else if (strncmp(line, "model ", 6) == 0 && b->phase == PHASE_MODELS) {
        if (buf_printf(&b->found, "%s\n", line + 6) < 0)
            build_fail(b, "its models are more files than this server takes");
    } else if (strncmp(line, "plan ", 5) == 0 && b->phase == PHASE_PLAN && !b->planned) {
        b->planned = b->resulted = true;
        build_take_plan(b, line + 5);
    } else if (strncmp(line, "result ", 7) == 0) {
        b->resulted = true;
        if (b->phase == PHASE_RESOLVE)
            b->wheels = strstr(line, "\"wheels\": true");
    } else if (strncmp(line, "error ", 6) == 0) {
        build_fail(b, line + 6);
    }
}

static void stop_reading(struct build *b)
{
    loop_del(b->r->loop, &b->out_io);
    close_fd(&b->out);
}

static void read_output(struct build *b, unsigned chunks)
{
    char chunk[16384];
    while (b->out >= 0 && chunks--) {
        ssize_t n = read(b->out, chunk, sizeof(chunk));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        b->printed += n > 0 ? (size_t)n : 0;
        if (n > 0 && b->printed <= PRINTED_MAX && buf_append(&b->line, chunk, (size_t)n) == 0) {
            for (char *nl; b->line.len && (nl = memchr(b->line.data, '\n', b->line.len));) {
                *nl = 0;
                take_line(b, b->line.data);
                buf_consume(&b->line, (size_t)(nl + 1 - b->line.data));
            }
            continue;
        }
        if (n > 0) {
            build_fail(b, "it printed more than this server reads");
            if (b->worker)
                worker_stop(b->worker, 0);
        }
        stop_reading(b);
    }
}

static void on_output(void *arg, uint32_t events)
{
    (void)events;
    read_output(arg, CHUNKS_A_TURN);
}

/* ---- its way out ---- */

static void on_egress_says(void *arg, const char *line)
{
    build_say(arg, "network", "%s", line);
}

static void on_egress_end(void *arg, const char *why)
{
    struct build *b = arg;
    build_fail(b, why);
    egress_end(&b->egress);
    if (b->worker)
        worker_stop(b->worker, 0);
}

static void close_egress(struct build *b)
{
    const struct egress_counts *c = b->egress ? egress_counts(b->egress) : NULL;
    if (c && c->refused && b->reason[0]) {
        size_t len = strlen(b->reason);
        snprintf(
            b->reason + len, sizeof(b->reason) - len,
            " (it asked for %s, which this server does not let builds reach; the operator can: "
            "build.hosts)",
            c->first_refused);
    }
    if (c && (c->bytes_in || c->refused)) {
        char in[32];
        format_bytes(c->bytes_in, in);
        build_say(b, "network", "%" PRIu64 " connections, %s received, %" PRIu64 " refused",
                  c->connections, in, c->refused);
    }
    egress_end(&b->egress);
}

static void on_end(struct worker *w, const struct worker_end *e)
{
    struct build *b = w->owner;
    b->worker = NULL;
    read_output(b, UINT_MAX); /* at most what it may print in all */
    stop_reading(b);
    close_egress(b);
    bool ok = b->resulted && e->reason == EXIT_EXITED && e->status == 0 && !b->reason[0];
    bool held_up = worker_is_held_up(e->code);
    if (!ok && !b->reason[0] && !held_up) {
        char text[512];
        worker_end_text(&w->limits, e, text, sizeof(text));
        build_fail(b, public_reason(0, text));
        if (strchr(text, '/'))
            log_error(NULL, "build.failed", "%s", text);
    } else if (!ok && b->reason[0] && e->met) {
        char met[400];
        size_t len = strlen(b->reason);
        limits_met_text(e->met, &w->limits, met, sizeof(met));
        snprintf(b->reason + len, sizeof(b->reason) - len, " (ran into: %s)", met);
    }
    build_job_ended(b, ok, held_up && !ok && !b->reason[0] ? e->code : 0);
}

/* ---- the start ---- */

static const char *folder_of(const struct build *b)
{
    return b->phase == PHASE_DEBS      ? "debs"
           : b->phase == PHASE_MODELS  ? "models"
           : b->phase == PHASE_RESOLVE ? "resolve"
                                       : lock_kind_name(b->kind);
}

/* Where apt of the root finds its sources and keys, and what the root has. */
static void add_apt(const struct build *b, struct start_list *mounts)
{
    const char *root = conf_of(b->r)->sandbox_root;
    static const char *const places[][2] = {{"/etc/apt", "apt"},
                                            {"/var/lib/dpkg/status", "dpkg-status"}};
    for (size_t i = 0; i < 2; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s%s", strcmp(root, "host") == 0 ? "" : root, places[i][0]);
        if (access(path, F_OK) == 0)
            start_list_add(mounts, "ro:%s:/run/vitrine/%s", path, places[i][1]);
    }
}

static void add_command(const struct build *b, struct start_list *argv)
{
    static const char *const verbs[] = {[PHASE_PLAN] = "plan",
                                        [PHASE_DEBS] = "debs",
                                        [PHASE_RESOLVE] = "resolve",
                                        [PHASE_INSTALL] = "install"};
    bool plans = b->phase == PHASE_PLAN;
    start_list_add(argv, JOB_PROGRAM);
    start_list_add(argv, "%s", verbs[b->phase]);
    if (!plans && build_index_has_way_out(b->r)) {
        start_list_add(argv, "--proxy-port");
        start_list_add(argv, "%d", EGRESS_PORT);
    }
    if (b->phase == PHASE_DEBS)
        return;
    start_list_add(argv, "--python");
    start_list_add(argv, "%s", plans ? conf_of(b->r)->sandbox_python : b->python);
    start_list_add(argv, "--sdk");
    start_list_add(argv, "%s", b->version.sdk);
    if (plans) {
        start_list_add(argv, "--python-version");
        start_list_add(argv, "%s", b->python_version);
    }
    if (b->command[0]) {
        start_list_add(argv, "--build");
        start_list_add(argv, "%s", b->command);
    }
    if (b->phase == PHASE_INSTALL) {
        start_list_add(argv, "--kind");
        start_list_add(argv, "%s", lock_kind_name(b->kind));
    }
    for (unsigned i = 0; !plans && i < b->added; i++) {
        start_list_add(argv, "--add");
        start_list_add(argv, "%s", b->add[i]);
    }
}

static int fill_lists(struct build *b, struct proto_start *start)
{
    struct start_list argv = START_LIST(start, argv);
    struct start_list env = START_LIST(start, env);
    struct start_list mounts = START_LIST(start, mounts);
    bool plans = b->phase == PHASE_PLAN, debs = b->phase == PHASE_DEBS;
    bool layered = b->layer[0] && !debs && !(b->phase == PHASE_INSTALL && b->kind == LOCK_SHARED);
    if (b->phase == PHASE_MODELS)
        return build_models_fill(b, start);
    add_command(b, &argv);
    start_list_add(&env, "PATH=/usr/local/bin:/usr/bin:/bin%s", layered ? ":/usr/games" : "");
    start_list_add(&env, "LANG=C.UTF-8");
    start_list_add(&env, "HOME=/home/user");
    start_list_add(&env, "TMPDIR=/tmp");
    start_list_add(&mounts, "ro:%s/vitrine-job:" JOB_PROGRAM, b->r->programs);
    if (!plans) {
        char path[PATH_MAX];
        env_fresh_path(b, folder_of(b), path, sizeof(path));
        start_list_add(&mounts, "rw:%s:%s", path, debs ? DEBS_DIR : ENV_DIR);
    }
    if (debs)
        add_apt(b, &mounts);
    char uv[PATH_MAX];
    build_index_uv(b->r, uv);
    if (uv[0])
        start_list_add(&mounts, "ro:%s:/run/vitrine/uv", uv);
    int n = argv.failed < 0 ? argv.failed : env.failed < 0 ? env.failed : mounts.failed;
    if (n == 0 && layered)
        n = layer_fill(start, b->r, b->layer);
    if (n == 0 && !plans)
        n = build_index_fill(start, b->r);
    /* What all owners share is made of the lock alone, and Debian's packages of names. */
    bool sees = !plans && !debs && !(b->phase == PHASE_INSTALL && b->kind == LOCK_SHARED);
    return n == 0 && sees ? environment_add_variables(start, b->r, b->space->id, NULL) : n;
}

static void limit(struct build *b, struct worker *w, struct proto_start *start)
{
    const struct conf *c = conf_of(b->r);
    if (b->phase != PHASE_PLAN) {
        w->limits.v[LIMIT_MEMORY] = c->build_memory;
        w->limits.v[LIMIT_CPU] = c->build_cpu;
        w->limits.v[LIMIT_PIDS] = c->build_pids;
        w->limits.v[LIMIT_FILE_SIZE] =
            b->phase == PHASE_MODELS ? c->build_preload_size : c->build_size;
    }
    recipe_limits(start, b->r, &w->limits);
    start->uid_index = b->space->uid_index;
    snprintf(start->hostname, sizeof(start->hostname), "build");
}

static int fill(struct build *b, struct worker *w, struct proto_start *start, struct err *err)
{
    memset(start, 0, sizeof(*start));
    limit(b, w, start);
    /* What is shared by all owners is made without a look at one owner's tree. */
    bool sees_tree =
        b->phase != PHASE_MODELS && (b->phase != PHASE_INSTALL || b->kind != LOCK_SHARED);
    snprintf(start->cwd, sizeof(start->cwd), "%s", sees_tree ? APP : "/tmp");
    if (sees_tree && snprintf(start->app, sizeof(start->app), "%s/versions/%" PRIu64 "/%s",
                              b->r->data, b->space->id, b->version.sha) >= (int)sizeof(start->app))
        return err_set(err, ENAMETOOLONG, "the path of the data folder is too long: %s",
                       b->r->data);
    int n = fill_lists(b, start);
    return n < 0 ? err_set(err, -n, "the command line of a build is too long") : 0;
}

/* The lock for an install, the entries for models; nothing else has an input. */
static int open_input(const struct build *b, struct err *err)
{
    const struct buf *text = b->phase == PHASE_MODELS ? &b->preload : &b->lock;
    if (b->phase != PHASE_INSTALL && b->phase != PHASE_MODELS) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        return null < 0 ? err_errno(err, "cannot open /dev/null") : null;
    }
    _cleanup_close_ int fd = memfd_create("vitrine-input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int n = fd < 0 ? -errno : write_all(fd, text->data ? text->data : "", text->len);
    if (n == 0 && (lseek(fd, 0, SEEK_SET) < 0 ||
                   fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0))
        n = -errno;
    return n < 0 ? err_set(err, -n, "cannot hand its input over: %s", strerror(-n)) : steal_fd(&fd);
}

int build_job_start(struct build *b, struct err *err)
{
    static struct proto_start start; /* large */
    struct runner *r = b->r;
    int n = space_make_folders(b->space, err), pipe_fds[2];
    if (n == 0 && b->phase != PHASE_PLAN)
        n = env_make_fresh(b, folder_of(b), err);
    if (n == 0 && b->phase == PHASE_MODELS)
        n = models_make_folders(r->data, b->space->id, r->range.first + 1 + b->space->uid_index,
                                err);
    if (n < 0)
        return n;
    _cleanup_close_ int in = open_input(b, err), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (in < 0 || null < 0)
        return in < 0 ? in : err_errno(err, "cannot open /dev/null");
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    b->out = pipe_fds[0];
    _cleanup_close_ int theirs = pipe_fds[1];
    b->printed = 0;
    b->resulted = false;
    buf_free(&b->line);
    b->line = BUF_INIT(LINE_BYTES);
    struct worker *w = worker_new(r, NULL);
    if (!w) {
        close_fd(&b->out);
        return err_set(err, ENOMEM, "the server is out of memory");
    }
    w->id = b->phase == PHASE_PLAN ? b->id : ++r->last_job_id;
    w->on_end = on_end;
    w->owner = b;
    n = fd_set_nonblock(b->out, true);
    if (n == 0)
        n = fill(b, w, &start, err);
    if (n == 0) {
        b->out_io = loop_add(r->loop, b->out, EPOLLIN, on_output, b, err);
        n = b->out_io ? worker_start(w, &start, (int[]){in, theirs, null}, err) : -EIO;
    }
    if (n < 0) {
        stop_reading(b);
        worker_free(w);
        return n;
    }
    b->worker = w;
    bool models = b->phase == PHASE_MODELS;
    if (models || (b->phase != PHASE_PLAN && build_index_has_way_out(r))) {
        const struct egress_hooks hooks = {.on_say = on_egress_says,
                                           .on_end = on_egress_end,
                                           .policy = models ? build_models_policy : NULL,
                                           .arg = b};
        if (egress_begin(&b->egress, w, &hooks, err) < 0) {
            build_fail(b, err->msg);
            worker_stop(w, 0);
        }
    }
    return 0;
}
