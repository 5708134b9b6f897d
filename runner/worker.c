#include "runner/worker.h"

#include "common/cleanup.h"
#include "common/limits_met.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/logs.h"
#include "runner/probe.h"
#include "runner/runner.h"
#include "runner/space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>

#define LEASE_MS 120000    /* a worker without a runner ends itself after this */
#define LEASE_JOB_MS 10000 /* nobody waits for a job whose runner is gone */
#define KILL_AFTER_MS 1500 /* past its grace; PID 1 is expected to have done it by then */
#define LOOK_EACH_MS 2000
#define LAST_WORD_MS 2000 /* between the two signs of an end, and for the cgroup's numbers */

static struct log_ctx ctx_of(const struct worker *w)
{
    return (struct log_ctx){.space = w->space ? w->space->full_name : NULL, .worker_id = w->id};
}

static void path_of(const struct runner *r, uint64_t id, const char *suffix, char *out, size_t size)
{
    snprintf(out, size, "%s/run/workers/%" PRIu64 ".%s", r->data, id, suffix);
}

static void on_timer(void *arg);
static void on_control(void *arg, struct proto_msg *m);
static void on_control_gone(void *arg, const char *why);

struct worker *worker_new(struct runner *r, struct space *s)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->r = r;
    w->space = s;
    w->pidfd = -1;
    space_limits_default(&w->limits, conf_of(r));
    w->created_ms = now_ms();
    w->active_ms = mono_ms();
    w->timer = (struct loop_timer){.fn = on_timer, .arg = w};
    w->control = (struct link){.on_msg = on_control, .on_gone = on_control_gone, .arg = w};
    return w;
}

void worker_free(struct worker *w)
{
    loop_timer_cancel(w->r->loop, &w->timer);
    loop_timer_cancel(w->r->loop, &w->start_timer);
    loop_timer_cancel(w->r->loop, &w->idle_timer);
    probe_free(w->probe);
    link_close(&w->control);
    loop_del(w->r->loop, &w->pid_io);
    close_fd(&w->pidfd);
    free(w->use);
    free(w);
}

struct worker *worker_by_id(struct runner *r, uint64_t id)
{
    struct worker *w = r->workers;
    while (w && w->id != id)
        w = w->next;
    return w;
}

const char *worker_state_name(enum worker_state s)
{
    static const char *const names[] = {
        [WORKER_STARTING] = "starting", [WORKER_READY] = "ready",   [WORKER_STOPPING] = "stopping",
        [WORKER_GONE] = "gone",         [WORKER_FAILED] = "failed",
    };
    return names[s];
}

/* ---- the end ---- */

static void last_word(struct runner *r, uint64_t id, struct worker_end *end)
{
    char path[PATH_MAX];
    path_of(r, id, "exit", path, sizeof(path));
    worker_end_read(path, end);
}

static void remove_files(struct runner *r, uint64_t id)
{
    char path[PATH_MAX];
    path_of(r, id, "sock", path, sizeof(path));
    unlink(path);
    path_of(r, id, "exit", path, sizeof(path));
    unlink(path);
}

void worker_bury(struct runner *r, uint64_t id, struct worker_end *ret)
{
    *ret = (struct worker_end){0};
    last_word(r, id, ret);
    remove_files(r, id);
    struct proto_group_ask ask = {.worker_id = id, .remove = 1};
    link_send(&r->starter, PROTO_GROUP_ASK, &ask, NULL, 0);
}

static void finish(struct worker *w)
{
    for (struct worker **p = &w->r->workers; *p; p = &(*p)->next) {
        if (*p == w) {
            *p = w->next;
            break;
        }
    }
    remove_files(w->r, w->id);
    link_close(&w->control);
    struct runner *r = w->r;
    w->on_end(w, &w->end);
    worker_free(w);
    runner_check_stopped(r);
}

static void ask_group(struct worker *w, bool drop)
{
    struct proto_group_ask ask = {.worker_id = w->id, .remove = drop};
    if (link_send(&w->r->starter, PROTO_GROUP_ASK, &ask, NULL, 0) == 0)
        w->group_pending++;
}

/* Every process of it is gone: its last word, its cgroup's numbers, then it is over. */
static void reap(struct worker *w)
{
    if (w->reaping)
        return;
    w->reaping = true;
    loop_del(w->r->loop, &w->pid_io);
    link_close(&w->control);
    probe_free(w->probe);
    w->probe = NULL;
    if (!w->heard_exit)
        last_word(w->r, w->id, &w->end);
    ask_group(w, true);
    loop_timer_set(w->r->loop, &w->timer, LAST_WORD_MS);
}

static void on_timer(void *arg)
{
    struct worker *w = arg;
    struct log_ctx ctx = ctx_of(w);
    if (w->reaping) {
        log_warn(&ctx, "worker.group", "the starter did not answer for its cgroup");
        finish(w);
    } else if (!w->started && !link_is_open(&w->control)) {
        snprintf(w->end.message, sizeof(w->end.message), "the sandbox was not made");
        reap(w);
    } else {
        if (!w->killed)
            log_warn(&ctx, "worker.kill", "did not end by itself: killing everything in it");
        worker_kill(w);
    }
}

static void on_pid(void *arg, uint32_t events)
{
    (void)events;
    struct worker *w = arg;
    /* The last word may still lie in the control connection. */
    if (!w->heard_exit && link_is_open(&w->control))
        last_word(w->r, w->id, &w->end);
    reap(w);
}

void worker_met(struct worker *w, uint32_t met)
{
    uint32_t fresh = met & ~w->end.met;
    w->end.met |= met;
    if (fresh && !w->reaping && !w->adopted && w->on_met)
        w->on_met(w, fresh);
}

static void on_control(void *arg, struct proto_msg *m)
{
    struct worker *w = arg;
    w->confirmed = true;
    switch (m->type) {
    case PROTO_INIT_STATE: /* the probe tells more than its phase */
        worker_met(w, m->u.init_state.met);
        w->adopted = false;
        break;
    case PROTO_INIT_EXIT:
        w->end.met |= m->u.init_exit.met;
        w->end.reason = m->u.init_exit.reason;
        w->end.status = m->u.init_exit.status;
        w->end.signal = m->u.init_exit.signal;
        w->heard_exit = true;
        break;
    case PROTO_INIT_STATS:
        if (w->on_stats) {
            struct worker_stats s = {.memory_bytes = m->u.init_stats.memory_bytes,
                                     .cpu_us = m->u.init_stats.cpu_us,
                                     .pids = m->u.init_stats.pids};
            w->on_stats(w, &s);
        }
        break;
    default:
        break;
    }
}

static void on_control_gone(void *arg, const char *why)
{
    struct worker *w = arg;
    struct log_ctx ctx = ctx_of(w);
    log_debug(&ctx, "worker.control", "control connection: %s", why);
    if (w->started && !w->pid_io)
        reap(w);
    else /* STARTED with the reason, or the pidfd, follows at once; PID 1 is gone last */
        loop_timer_set(w->r->loop, &w->timer, LAST_WORD_MS);
}

bool worker_is_held_up(int code)
{
    static const int ours[] = {ENOSPC, EDQUOT, EMFILE, ENFILE,  ENOMEM,
                               EAGAIN, EUSERS, EROFS,  ENOTSUP, ENOTCONN};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (code == ours[i])
            return true;
    }
    return false;
}

/* ---- the start ---- */

static int open_control(struct worker *w, struct err *err)
{
    char path[PATH_MAX];
    path_of(w->r, w->id, "sock", path, sizeof(path));
    int fd = proto_connect_path(path, err);
    if (fd < 0)
        return fd;
    int n = link_open(&w->control, w->r->loop, fd, err);
    if (n < 0)
        return n;
    struct proto_hello hello = {.role = HELLO_CONTROL};
    return link_send(&w->control, PROTO_HELLO, &hello, NULL, 0);
}

int worker_dial(struct worker *w, struct err *err)
{
    char path[PATH_MAX];
    path_of(w->r, w->id, "sock", path, sizeof(path));
    _cleanup_close_ int fd = proto_connect_path(path, err);
    if (fd < 0)
        return fd;
    struct proto_hello hello = {.role = HELLO_DIAL};
    int n = proto_send(fd, PROTO_HELLO, &hello, NULL, 0, err);
    return n < 0 ? n : steal_fd(&fd);
}

/* PID 1's listening socket, the two log parts, the exit file. */
static int open_start_fds(struct worker *w, int fds[4], struct err *err)
{
    char path[PATH_MAX];
    path_of(w->r, w->id, "exit", path, sizeof(path));
    fds[3] = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fds[3] < 0)
        return err_errno(err, "cannot make %s", path);
    path_of(w->r, w->id, "sock", path, sizeof(path));
    fds[0] = proto_listen_path(path, err);
    if (fds[0] < 0)
        return fds[0];
    if (w->space)
        return logs_open_parts(w->r, w->space->id, w->id, &fds[1], err);
    for (int i = 1; i <= 2; i++) {
        fds[i] = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (fds[i] < 0)
            return err_errno(err, "cannot open /dev/null");
    }
    return 0;
}

int worker_start(struct worker *w, struct proto_start *start, const int *stdio, struct err *err)
{
    struct runner *r = w->r;
    int fds[7] = {-1, -1, -1, -1};
    start->start_id = start->worker_id = w->id;
    start->flags =
        (stdio ? START_JOB : 0) | (conf_of(r)->sandbox_require_cgroup ? START_NEED_LIMITS : 0);
    start->lease_ms = stdio ? LEASE_JOB_MS : LEASE_MS;
    start->log_bytes = conf_of(r)->limits_log_size;
    start->log_rate = w->limits.v[LIMIT_LOG_RATE];
    if (stdio)
        memcpy(&fds[4], stdio, 3 * sizeof(int));

    /* The connection first: what was asked for cannot be taken back, and nobody would own it. */
    int n = open_start_fds(w, fds, err);
    if (n == 0)
        n = open_control(w, err);
    if (n == 0) {
        n = link_send(&r->starter, PROTO_START, start, fds, stdio ? 7 : 4);
        if (n < 0)
            err_set(err, -n, n == -ENOTCONN ? "vitrine-sandbox is being restarted" : "%s",
                    strerror(-n));
    }
    for (int i = 0; i < 4; i++)
        close_fd(&fds[i]);
    if (n < 0) {
        link_close(&w->control);
        remove_files(r, w->id);
        return n;
    }
    w->next = r->workers;
    r->workers = w;
    return 0;
}

static int watch_pid(struct worker *w, struct err *err)
{
    w->pid_io = loop_add(w->r->loop, w->pidfd, EPOLLIN, on_pid, w, err);
    return w->pid_io ? 0 : -EIO;
}

void worker_started(struct worker *w, struct proto_msg *m)
{
    if (w->reaping)
        return;
    w->started = w->confirmed = true;
    if (m->u.started.code) {
        snprintf(w->end.message, sizeof(w->end.message), "%s", m->u.started.message);
        w->end.code = (int)m->u.started.code;
        reap(w);
        return;
    }
    w->pid = (pid_t)m->u.started.pid;
    if (m->n_fds > 0)
        w->pidfd = steal_fd(&m->fds[0]);
    struct log_ctx ctx = ctx_of(w);
    struct err err = {0};
    if (w->pidfd >= 0 && watch_pid(w, &err) < 0)
        log_warn(&ctx, "worker.pidfd", "%s", err.msg);
    if (m->u.started.message[0]) /* it runs, with less protection than was asked for */
        log_warn(&ctx, "worker.protection", "%s", m->u.started.message);
    if (!link_is_open(&w->control) && !w->pid_io)
        reap(w);
    else if (w->on_started)
        w->on_started(w);
}

/* Whether `pid` still is a PID 1 of ours: the number alone may have been given to somebody else. */
static bool is_sandbox(pid_t pid)
{
    char path[64], text[64];
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    return file_read_small(path, text, sizeof(text)) > 0 &&
           strncmp(text, "vitrine-sandbox", strlen("vitrine-sandbox")) == 0;
}

int worker_adopt(struct worker *w, struct err *err)
{
    int n = open_control(w, err);
    if (n < 0)
        return n;
    w->started = w->adopted = true;
    w->next = w->r->workers;
    w->r->workers = w;
    if (w->pid <= 0)
        return 0;
    /* Where the pidfd cannot be had, the control connection alone tells its end. */
    w->pidfd = pidfd_open(w->pid, 0);
    if (w->pidfd >= 0 && (!is_sandbox(w->pid) || watch_pid(w, NULL) < 0))
        close_fd(&w->pidfd);
    return 0;
}

/* ---- while it runs ---- */

void worker_stop(struct worker *w, uint64_t grace_ms)
{
    if (w->reaping)
        return;
    w->state = WORKER_STOPPING;
    w->draining = false;
    probe_free(w->probe);
    w->probe = NULL;
    loop_timer_cancel(w->r->loop, &w->start_timer);
    loop_timer_cancel(w->r->loop, &w->idle_timer);
    struct proto_init_stop stop = {.grace_ms = grace_ms};
    link_send(&w->control, PROTO_INIT_STOP, &stop, NULL, 0);
    loop_timer_set(w->r->loop, &w->timer, grace_ms + KILL_AFTER_MS);
}

void worker_kill(struct worker *w)
{
    if (w->reaping)
        return;
    w->killed = true;
    struct proto_group_kill k = {.worker_id = w->id};
    if (link_send(&w->r->starter, PROTO_GROUP_KILL, &k, NULL, 0) == 0)
        w->group_pending++;
    if (w->pidfd >=
        0) /* refused where another user namespace of ours made it: then the above did */
        pidfd_send_signal(w->pidfd, SIGKILL, NULL, 0);
    loop_timer_set(w->r->loop, &w->timer, LAST_WORD_MS);
}

void worker_ask_stats(struct worker *w)
{
    if (w->started && !w->reaping)
        ask_group(w, false);
}

void worker_look(struct worker *w)
{
    uint64_t now = mono_ms();
    if (now - w->looked_ms < LOOK_EACH_MS)
        return;
    w->looked_ms = now;
    link_send(&w->control, PROTO_INIT_LOOK, NULL, NULL, 0);
}

void worker_group_stat(struct worker *w, const struct proto_group_stat *s)
{
    if (w->group_pending)
        w->group_pending--;
    if (s->valid) {
        worker_met(w, limits_met_of_group(s->oom_kills, s->pids_refused, s->cpu_periods,
                                          s->cpu_throttled));
    }
    if (w->reaping) {
        if (!w->group_pending)
            finish(w);
    } else if (s->valid && w->on_stats) {
        struct worker_stats stats = {
            .memory_bytes = s->memory_bytes, .cpu_us = s->cpu_us, .pids = s->pids};
        w->on_stats(w, &stats);
    } else if (!s->valid) {
        link_send(&w->control, PROTO_INIT_STATS_ASK, NULL, NULL, 0);
    }
}

void worker_starter_restarted(struct worker *w)
{
    w->group_pending = 0;
    if (w->reaping)
        ask_group(w, true);
    /* STARTED will not come any more. PID 1 holds the only other copies of its listening socket: if
     * it was made the control connection lives, else it ends. */
    if (!w->started) {
        w->started = true;
        if (!link_is_open(&w->control)) {
            snprintf(w->end.message, sizeof(w->end.message),
                     "vitrine-sandbox ended while it made the sandbox");
            w->end.code = ENOTCONN;
            reap(w);
        }
    }
}
