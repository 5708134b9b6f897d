/* The process that builds for `vitrine dev`; see devbuild.h. */
#include "devbuild.h"

#include "client.h"
#include "common/built.h"
#include "common/cleanup.h"
#include "common/lines.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/userns.h"
#include "common/util.h"
#include "datadir.h"
#include "devrunner.h"
#include "serveropts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define STEP_MS 100            /* between two looks at a build's log */
#define KEEP_MS 10000          /* the runner stays so long after a build ... */
#define KEEP_COMPILE_MS 180000 /* ... or until Python files are compiled, but not longer */
#define READY_MS 20000
#define CANCEL_MS 5000

struct devbuilder {
    const struct conf *conf;
    const char *programs;
    int orders, signals;
    struct lines said;
    json_t *order; /* came, and is to be done */
    bool gone;     /* `dev` has ended */
    bool cancel;   /* what is being built is not wanted */

    struct datadir data;
    bool open;
    int lock_fd, wait_fd;
    struct devsite *site;
    struct devrunner runner;
    uint64_t keep_since_ms;

    /* of what is being built */
    struct devsite_ids ids;
    bool ready, taken;
    enum proto_stage stage;
    char refused[512];
    int log_fd;
    struct lines log;
};

/* ---- what comes in ---- */

static bool take_line(void *arg, char *line, size_t len)
{
    struct devbuilder *b = arg;
    json_t *o = json_loadb(line, len, 0, NULL);
    b->cancel = json_is_true(json_object_get(o, "cancel"));
    if (b->cancel) {
        json_decref(o);
        return true;
    }
    json_decref(b->order);
    b->order = o;
    return true;
}

static void take_orders(struct devbuilder *b)
{
    if (lines_read(&b->said, b->orders, 1, take_line, b) <= 0)
        b->gone = true;
}

static void take_message(struct devbuilder *b, const struct proto_msg *m)
{
    if (m->type == PROTO_SUP_READY)
        b->ready = true;
    if (m->type == PROTO_CHANGED && m->u.changed.space_id == (uint64_t)b->ids.space)
        b->stage = m->u.changed.stage;
    if (m->type == PROTO_COMMAND_DONE && m->u.command_done.command_id == (uint64_t)b->ids.command) {
        b->taken = true;
        if (m->u.command_done.code)
            snprintf(b->refused, sizeof(b->refused), "%.500s", m->u.command_done.message);
    }
}

static void take_messages(struct devbuilder *b, int *fd)
{
    static struct proto_msg m; /* large */
    int r;
    while (*fd >= 0 && (r = proto_recv(*fd, &m, 0, NULL)) != -EAGAIN) {
        if (r <= 0) { /* its end is told by SIGCHLD */
            close_fd(fd);
            return;
        }
        take_message(b, &m);
        proto_msg_done(&m);
    }
}

static void reap(struct devbuilder *b)
{
    struct signalfd_siginfo info;
    pid_t pid;
    while (read(b->signals, &info, sizeof(info)) == sizeof(info))
        ;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        if (pid == b->runner.pid)
            devrunner_bury(&b->runner);
}

/* Waits for something, `timeout_ms` at most (-1: for ever). */
static void step(struct devbuilder *b, int timeout_ms)
{
    struct pollfd p[] = {{.fd = b->orders, .events = POLLIN},
                         {.fd = b->runner.sup_fd, .events = POLLIN},
                         {.fd = b->runner.site_fd, .events = POLLIN},
                         {.fd = b->signals, .events = POLLIN}};
    if (poll(p, 4, timeout_ms) <= 0)
        return;
    if (p[0].revents)
        take_orders(b);
    if (p[1].revents)
        take_messages(b, &b->runner.sup_fd);
    if (p[2].revents)
        take_messages(b, &b->runner.site_fd);
    if (p[3].revents)
        reap(b);
}

/* ---- the data folder and the runner ---- */

static int open_file(const struct devbuilder *b, const char *name, struct err *err)
{
    char path[4200];
    snprintf(path, sizeof(path), "%.4096s/%s", b->conf->server_data, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? err_errno(err, "cannot write in the folder %s", b->conf->server_data) : fd;
}

/* One builds at a time; who waits says so to the one who merely keeps it (is_awaited). */
static int take_lock(struct devbuilder *b, struct err *err)
{
    bool told = false;
    int r = mkdir_p(b->conf->server_data, 0700, err);
    if (r < 0)
        return r;
    b->lock_fd = open_file(b, "dev.lock", err);
    b->wait_fd = b->lock_fd < 0 ? -1 : open_file(b, "dev.waits", err);
    if (b->wait_fd < 0)
        return -err->code;
    while (flock(b->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(err, "cannot lock %s/dev.lock", b->conf->server_data);
        if (b->gone || b->cancel)
            return err_set(err, ECANCELED, "it is not wanted any more");
        if (!told)
            fprintf(stderr, "dev: another `vitrine dev` builds just now; this one is the next\n");
        told = true;
        (void)flock(b->wait_fd, LOCK_SH | LOCK_NB);
        step(b, STEP_MS);
    }
    (void)flock(b->wait_fd, LOCK_UN);
    return 0;
}

static bool is_awaited(const struct devbuilder *b)
{
    bool awaited = flock(b->wait_fd, LOCK_EX | LOCK_NB) < 0;
    if (!awaited)
        (void)flock(b->wait_fd, LOCK_UN);
    return awaited;
}

static int start_runner(struct devbuilder *b, struct err *err)
{
    uint64_t end = mono_ms() + READY_MS;
    b->ready = false;
    int r = devsite_tidy(b->site, b->conf->build_env_keep, err);
    if (r == 0)
        r = devrunner_start(&b->runner, b->conf, b->programs, err);
    while (r == 0 && b->runner.pid && !b->ready && !b->gone && mono_ms() < end)
        step(b, STEP_MS);
    if (r == 0 && !b->ready)
        r = err_set(err, EIO, "vitrine-runner does not start; its own messages say why");
    if (r < 0)
        devrunner_stop(&b->runner);
    return r;
}

static void close_all(struct devbuilder *b)
{
    devrunner_stop(&b->runner);
    devsite_close(b->site);
    b->site = NULL;
    if (b->open)
        datadir_close(&b->data);
    b->open = false;
    close_fd(&b->wait_fd);
    close_fd(&b->lock_fd);
}

static int open_all(struct devbuilder *b, struct err *err)
{
    if (b->runner.pid)
        return 0;
    close_all(b); /* the runner may have ended by itself */
    int r = userns_enter_outer(err);
    if (r == 0)
        r = take_lock(b, err);
    if (r == 0) {
        b->data = DATADIR_INIT;
        b->open = true;
        r = datadir_open(&b->data, b->conf->server_data, err);
    }
    if (r == 0)
        r = devsite_open(&b->site, b->data.path, err);
    if (r == 0)
        r = start_runner(b, err);
    if (r < 0)
        close_all(b);
    return r;
}

/* ---- a build ---- */

static void log_path(const struct devbuilder *b, char out[4300])
{
    snprintf(out, 4300, "%.4096s/logs/%" PRId64 "/build.log", b->data.path, b->ids.space);
}

/* "STAMP STEP: TEXT" */
static bool show_line(void *arg, char *line, size_t len)
{
    const char *text = memchr(line, ' ', len);
    (void)arg;
    text = text ? text + 1 : line;
    fprintf(stderr, "build: %.*s\n", (int)(line + len - text), text);
    return true;
}

/* Each whole line of its log that has not been shown yet. */
static void show_log(struct devbuilder *b)
{
    if (b->log_fd < 0) {
        char path[4300];
        log_path(b, path);
        b->log_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    if (b->log_fd >= 0)
        (void)lines_read(&b->log, b->log_fd, UINT_MAX, show_line, NULL);
}

/* What earlier builds said is not shown again, and does not pile up. */
static void empty_log(struct devbuilder *b)
{
    char path[4300];
    close_fd(&b->log_fd);
    buf_clear(&b->log.begun);
    log_path(b, path);
    if (truncate(path, 0) < 0 && errno != ENOENT)
        fprintf(stderr, "dev: the log of earlier builds cannot be emptied: %s\n", strerror(errno));
}

/* The runner finds the tree where it finds those of all versions; the ones of before are gone. */
static int place_tree(struct devbuilder *b, const char *tree, const char *sha, struct err *err)
{
    char path[4300], link[4400];
    snprintf(path, sizeof(path), "%.4096s/versions/%" PRId64, b->data.path, b->ids.space);
    snprintf(link, sizeof(link), "%s/%.64s", path, sha);
    int r = remove_tree(AT_FDCWD, path, err);
    if (r == 0 && (mkdir(path, 0755) < 0 || chmod(path, 0755) < 0 || symlink(tree, link) < 0))
        r = err_errno(err, "cannot make %s", link);
    return r;
}

static int stop_it(struct devbuilder *b, struct err *err)
{
    int r = devsite_stop(b->site, b->ids.space, err);
    return r < 0 ? r : proto_send(b->runner.site_fd, PROTO_COMMAND_NUDGE, NULL, NULL, 0, err);
}

static bool is_over(const struct devbuilder *b)
{
    return b->taken && (b->stage == STAGE_STOPPED || b->stage == STAGE_BUILD_ERROR ||
                        b->stage == STAGE_RUNTIME_ERROR);
}

/* Until it is over: -ECANCELED where it is not wanted, -EIO where it failed. */
static int await(struct devbuilder *b, struct err *err)
{
    bool stopped = false;
    uint64_t stop_by_ms = 0;
    while (!is_over(b) && b->runner.pid && !b->refused[0]) {
        if ((b->gone || b->cancel) && !stopped) {
            stopped = true;
            stop_by_ms = mono_ms() + CANCEL_MS;
            (void)stop_it(b, NULL);
        }
        if (stopped && mono_ms() > stop_by_ms) {
            devrunner_stop(&b->runner);
            break;
        }
        step(b, STEP_MS);
        show_log(b);
    }
    show_log(b);
    if (stopped)
        return err_set(err, ECANCELED, "it is not wanted any more");
    if (b->refused[0])
        return err_set(err, EIO, "%s", b->refused);
    if (!b->runner.pid)
        return err_set(err, EIO, "vitrine-runner has ended; its own messages say why");
    if (b->stage == STAGE_STOPPED)
        return 0;
    char reason[480];
    devsite_reason(b->site, b->ids.space, reason, sizeof(reason));
    return err_set(err, EIO, "%s", *reason ? reason : "it failed");
}

static int build(struct devbuilder *b, const json_t *order, struct devsite_result *ret,
                 struct err *err)
{
    const char *sha = json_str(order, "sha");
    int r = open_all(b, err);
    if (r == 0)
        r = devsite_deploy(b->site, json_str(order, "folder"), sha,
                           json_object_get(order, "record"), &b->ids, err);
    if (r == 0)
        r = place_tree(b, json_str(order, "tree"), sha, err);
    if (r < 0)
        return r;
    empty_log(b);
    b->taken = false;
    b->refused[0] = 0;
    b->stage = STAGE_NONE;
    r = proto_send(b->runner.site_fd, PROTO_COMMAND_NUDGE, NULL, NULL, 0, err);
    if (r == 0)
        r = await(b, err);
    return r == 0 ? devsite_result(b->site, &b->ids, ret, err) : r;
}

/* Its files may be of any file of the folder. */
static bool is_bound(const struct devbuilder *b, const char *env)
{
    char path[4300], text[2304];
    if (!*env)
        return false;
    snprintf(path, sizeof(path), "%.4096s/envs/%s/about", b->data.path, env);
    return file_read_small(path, text, sizeof(text)) > 0 && strstr(text, "\nkind bound\n");
}

static void do_order(struct devbuilder *b)
{
    struct devsite_result keys = {0};
    struct err err = {0};
    json_t *order = b->order, *answer;
    b->order = NULL;
    int r = build(b, order, &keys, &err);
    json_decref(order);
    if (r < 0)
        answer = json_pack("{s:i, s:s}", "code", err.code ? err.code : EIO, "message", err.msg);
    else
        answer = json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:b}", "code", 0, "data", b->data.path,
                           "env", keys.env, "layer", keys.layer, "models", keys.models, "uid_index",
                           (json_int_t)keys.uid_index, "bound", is_bound(b, keys.env));
    if (devbuild_send(b->orders, answer, &err) < 0)
        b->gone = true;
    b->keep_since_ms = mono_ms();
}

/* Whether the runner may still be of use, and nobody waits for its folder. */
static bool is_kept(const struct devbuilder *b)
{
    uint64_t age = mono_ms() - b->keep_since_ms;
    if (!b->runner.pid || is_awaited(b) || age > KEEP_COMPILE_MS)
        return false;
    return age < KEEP_MS || devsite_compiles(b->site);
}

void devbuilder_run(int fd, const struct conf *conf, const char *programs)
{
    sigset_t child;
    struct devbuilder b = {.conf = conf,
                           .programs = programs,
                           .orders = fd,
                           .said = LINES_INIT(DEVBUILD_LINE_MAX, false, 0),
                           .log = LINES_INIT(1 << 20, true, 0),
                           .data = DATADIR_INIT,
                           .lock_fd = -1,
                           .wait_fd = -1,
                           .log_fd = -1,
                           .runner = DEVRUNNER_INIT};
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    log_init("vitrine-dev", serveropts_log_format(conf), serveropts_log_level(conf), STDERR_FILENO);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    b.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    while (!b.gone) {
        step(&b, b.open ? STEP_MS : -1);
        if (b.order && !b.gone)
            do_order(&b);
        else if (b.open && !is_kept(&b))
            close_all(&b);
    }
    close_all(&b);
}
