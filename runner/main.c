/* vitrine-runner: decides which Space has a worker, and when.
 *
 * How it works. One process, one thread, one event loop (loop.c). Under `vitrine up` it has a
 * socket to the supervisor (fd 3), over which come sockets to the gateway and to webui; it starts
 * the resident starter (starter.c) that makes the sandboxes.
 *
 *   webui ── commands, jobs, logs ──► control.c ─► commands.c ─┐         ┌─► recipe.c  what to run
 *                                                   job.c      ├► space.c ┼─► worker.c  start, stop
 *   gateway ── RESOLVE, WAKE ───────► gateway.c ───────────────┤    │    └─► probe.c   ready?
 *           ── SLEEP_ANSWER, COUNTERS ► idle.c ────────────────┘    │
 *   workers ── readiness, end ──────────────────────────────────────┘
 *
 * Whatever happens to a Space is an event; lifecycle.c is the table that answers each event in each
 * state; space.c does what the table says. The order in there is: visitors first (ROUTE), then the
 * database (life.c), then webui (CHANGED). budget.c has the places for workers, backoff.c the
 * patience with those that fail. idle.c asks the gateway whether a worker may end, and only ends it
 * once the gateway let go of it.
 *
 * A wake: WAKE arrives; a row for the worker (one write without waiting for the disk); START to the
 * starter with a listening socket, log and exit file; the control and the probe's connection to
 * that socket at once, before PID 1 exists; PID 1 answers the probe with a socket of its network;
 * HTTP is asked for every millisecond; READY; ROUTE with a fresh connection for the gateway's own
 * sockets. Everything that waits for a disk happens in child processes (chore.c) or in the tick.
 *
 * Crash only: killed at any moment, `up` starts another, and adopt.c goes on from life.db and from
 * the workers' sockets. SIGTERM ends every worker, writes that down, and exits with 0. The end of
 * the supervisor's socket means that `up` was killed: exit at once and leave the workers. */
#include "common/cleanup.h"
#include "common/log.h"
#include "common/service.h"
#include "common/util.h"
#include "runner/adopt.h"
#include "runner/build.h"
#include "runner/bytecode.h"
#include "runner/chore.h"
#include "runner/commands.h"
#include "runner/control.h"
#include "runner/environment.h"
#include "runner/build_env.h"
#include "runner/build_seal.h"
#include "runner/events.h"
#include "runner/gateway.h"
#include "runner/gpus.h"
#include "runner/indexes.h"
#include "runner/job.h"
#include "runner/metrics.h"
#include "runner/life.h"
#include "runner/life_build.h"
#include "runner/pack.h"
#include "runner/prune.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/starter.h"
#include "runner/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#define TICK_MS 10000
#define PRUNE_MORE_MS 500
#define FDS_A_WORKER 4 /* at most, in the runner or the starter */
#define FDS_OTHER 100
#define CHECKPOINT_TICKS                                                                           \
    6                      /* it waits for the disk: seldom, and not while somebody waits for us   \
                            */
#define STOP_SLACK_MS 2000 /* past stop_grace: then the kill */
#define KILL_SLACK_MS 1500 /* past the kill: then exit, whatever is left */

static struct runner runner = {.starter_pidfd = -1};

/* ---- the end ---- */

void runner_check_stopped(struct runner *r)
{
    if (r->stopping && !r->workers && !r->chores && !r->jobs && !r->builds)
        loop_stop(r->loop);
}

static void on_stop_timer(void *arg)
{
    struct runner *r = arg;
    if (r->exit_status) { /* second time */
        loop_stop(r->loop);
        return;
    }
    log_error(NULL, "runner.stop", "some workers did not end: killing them");
    r->exit_status = 1;
    for (struct worker *w = r->workers; w; w = w->next)
        worker_kill(w);
    loop_timer_set(r->loop, &r->stop_timer, KILL_SLACK_MS);
}

static void on_signal(void *arg, uint32_t events)
{
    (void)events;
    struct runner *r = arg;
    struct signalfd_siginfo info;
    if (read(r->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (r->stopping) { /* somebody is in a hurry */
        for (struct worker *w = r->workers; w; w = w->next)
            worker_stop(w, 0);
        return;
    }
    r->stopping = true;
    event_add(r, NULL, 0, "runner.stop", "stopping every worker");
    job_cancel_all(r);
    build_cancel_all(r);
    bytecode_stop(r);
    space_shutdown(r);
    volumes_stop(r);
    r->stop_timer = (struct loop_timer){.fn = on_stop_timer, .arg = r};
    loop_timer_set(r->loop, &r->stop_timer, conf_of(r)->lifecycle_stop_grace + STOP_SLACK_MS);
    runner_check_stopped(r);
}

/* ---- the supervisor ---- */

static void on_supervisor(void *arg, struct proto_msg *m)
{
    struct runner *r = arg;
    if (m->type != PROTO_SUP_PEER || m->n_fds < 1) {
        log_warn(NULL, "supervisor.message", "unexpected %s", proto_type_name(m->type));
        return;
    }
    if (m->u.sup_peer.role == ROLE_GATEWAY)
        for (int i = 0; i < m->n_fds; i++)
            gateway_connect(r, steal_fd(&m->fds[i]));
    else if (m->u.sup_peer.role == ROLE_WEBUI)
        control_connect(r, steal_fd(&m->fds[0]));
}

static void on_supervisor_gone(void *arg, const char *why)
{
    (void)arg;
    log_warn(NULL, "supervisor.gone", "%s: exiting, workers stay", why);
    _exit(1);
}

/* ---- from time to time ---- */

static void on_tick(void *arg)
{
    struct runner *r = arg;
    bool starting = false;
    for (struct worker *w = r->workers; w; w = w->next) {
        starting |= w->state == WORKER_STARTING;
        if (w->space && w->state == WORKER_READY && w->saved_requests != w->requests) {
            life_worker_save(r, w, NULL, NULL);
            w->saved_requests = w->requests;
        }
    }
    space_tick(r);
    gateway_tick(r);
    commands_record(r);
    if (!starting && ++r->ticks % CHECKPOINT_TICKS == 0)
        life_checkpoint(r);
    loop_timer_set(r->loop, &r->tick_timer, TICK_MS);
}

static void on_prune(void *arg)
{
    struct runner *r = arg;
    loop_timer_set(r->loop, &r->prune_timer, prune_step(r) ? PRUNE_MORE_MS : TICK_MS);
}

/* ---- the start ---- */

static int watch_signals(struct runner *r, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_errno(err, "cannot block signals");
    r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r->signal_fd < 0)
        return err_errno(err, "cannot make a descriptor for signals");
    r->signal_io = loop_add(r->loop, r->signal_fd, EPOLLIN, on_signal, r, err);
    return r->signal_io ? 0 : -EIO;
}

static int find_places(struct runner *r, struct err *err)
{
    char resolved[PATH_MAX], path[PATH_MAX];
    const char *data = conf_of(r)->server_data;
    if (!realpath(data, resolved))
        return err_errno(err, "the data folder %s", data);
    if (strlen(resolved) >= sizeof(r->data) || strchr(resolved, ':'))
        return err_set(err, EINVAL,
                       "the data folder %s: its path is too long or has a colon; use another",
                       resolved);
    snprintf(r->data, sizeof(r->data), "%s", resolved);
    snprintf(path, sizeof(path), "%s/run/workers", r->data);
    int n = mkdir_p(path, 0700, err);
    if (n == 0)
        n = exe_dir(r->programs, sizeof(r->programs), err);
    if (n == 0 && boot_id(r->boot_id) < 0)
        n = err_set(err, EIO, "cannot read the machine's boot id");
    if (n == 0)
        n = userns_range((uid_t)conf_of(r)->sandbox_uid_first, &r->range, err);
    return n;
}

/* Secrets pass through here and through the starter, which inherits it. Not 0: a piped core_pattern
 * would run its program even then. */
static void leave_no_core(void)
{
    struct rlimit l = {1, 1};
    if (setrlimit(RLIMIT_CORE, &l) < 0)
        log_warn(NULL, "runner.core", "cannot switch core dumps off: %s", strerror(errno));
}

/* All that the machine gives us: each worker takes a few. The starter inherits it; demos get a
 * limit of their own. */
static void raise_descriptors(const struct runner *r)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return;
    l.rlim_cur = l.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &l) < 0)
        log_warn(NULL, "runner.descriptors", "cannot raise the limit of open files: %s",
                 strerror(errno));
    uint64_t need = r->budget.max * FDS_A_WORKER + FDS_OTHER;
    if (l.rlim_max != RLIM_INFINITY && l.rlim_max < need)
        log_warn(NULL, "runner.descriptors",
                 "%llu open files are allowed, and lifecycle.max_workers needs %llu: raise the "
                 "hard limit (LimitNOFILE of the service, ulimit -Hn)",
                 (unsigned long long)l.rlim_max, (unsigned long long)need);
}

static int begin(struct runner *r, struct err *err)
{
    umask(0077);
    leave_no_core();
    int n = service_init(&r->service, "vitrine-runner", err);
    if (n == 0)
        n = loop_new(&r->loop, err);
    if (n == 0)
        n = watch_signals(r, err);
    if (n == 0)
        n = find_places(r, err);
    if (n == 0)
        n = environment_open(r, err);
    if (n == 0)
        n = life_open(r, err);
    if (n < 0)
        return n;
    r->gateway_gone_ms = mono_ms();
    r->budget.max = conf_of(r)->lifecycle_max_workers;
    raise_descriptors(r);
    r->first_job_id = (1ull << 62) + (now_ms() << 16);
    r->last_job_id = r->first_job_id;
    n = life_builds_lost(r, err);
    env_settle_all(r);
    if (n == 0)
        n = volumes_open(r, err);
    if (n == 0)
        n = starter_begin(r, err);
    gpus_begin(r);
    if (n == 0)
        n = adopt_all(r, err);
    if (n < 0)
        return n;
    r->last_command_id = life_commands_all_done_to(r);
    r->tick_timer = (struct loop_timer){.fn = on_tick, .arg = r};
    loop_timer_set(r->loop, &r->tick_timer, TICK_MS);
    r->prune_timer = (struct loop_timer){.fn = on_prune, .arg = r};
    loop_timer_set(r->loop, &r->prune_timer, TICK_MS / 2);
    env_collect_begin(r);
    pack_begin(r);
    bytecode_begin(r);
    r->supervisor.on_msg = on_supervisor;
    r->supervisor.on_gone = on_supervisor_gone;
    r->supervisor.arg = r;
    n = link_open(&r->supervisor, r->loop, r->service.sup_fd, err);
    return n < 0 ? n : service_ready(&r->service, err);
}

int main(void)
{
    struct runner *r = &runner;
    struct err err = {0};
    int n = begin(r, &err);
    if (n == 0) {
        log_info(NULL, "runner.ready", "up to %llu workers", (unsigned long long)r->budget.max);
        n = loop_run(r->loop, &err);
    }
    if (n < 0)
        log_error(NULL, "runner.failed", "%s", err.msg);
    chore_kill_all(r);
    pack_end(r);
    volumes_close(r);
    indexes_free(r);
    metrics_free(r);
    bytecode_free(r);
    starter_end(r);
    if (r->life) {
        commands_record(r);
        life_checkpoint(r);
    }
    store_close(r->site);
    store_close(r->life);
    return n < 0 ? 1 : r->exit_status;
}
