/* The resident starter: makes sandboxes for the runner, and looks after their control groups.
 *
 * It keeps some sandboxes' processes ready in their namespaces, groups and roots (launch.h), so
 * that a START costs what its order costs, also where several come at once. Starts run side by
 * side; the loop never waits for one. Workers are not its responsibility: it may end at any time
 * and they go on; a later starter finds their groups by their marks. It also says whom the CPU goes
 * to first (cpu_class.h). */
#include "starter.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/util.h"
#include "sandbox/cpu_class.h"
#include "sandbox/launch.h"
#include "sandbox/leftovers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_PENDING 64      /* starts under way; further ones wait in the socket */
#define MAX_SPARES 4        /* each costs some 200 KiB of the kernel's memory */
#define SPARE_RETRY_MS 1000 /* after a spare that could not be made */
#define SPARE_PAUSE_MS 4    /* after a start: its program has the processors first */
#define SPARES_LOW 2        /* with so many the pause is left out */
#define SPARE_ROOT "host"
#define SEND_TIMEOUT_MS 5000

struct worker {
    uint64_t id;
    pid_t pid;
    int pidfd, mounts_fd;
    struct net_relay relay;
    struct cgroup_group group;
    struct own_files own;
};

struct pending {
    struct launch launch;
    uint64_t start_id, worker_id;
};

struct starter {
    struct launch_env env;
    int sock;
    struct launch spares[MAX_SPARES];
    int n_spares;
    uint64_t spare_not_before_ms; /* none at all */
    uint64_t started_ms;          /* last */
    struct pending pending[MAX_PENDING];
    int n_pending;
    struct cpu_classes classes;
    struct leftovers leftovers;
    struct worker *workers;
    size_t n_workers, cap_workers;
    struct proto_msg msg;
};

static struct starter the_starter;

static int tell(struct starter *s, enum proto_type type, const void *body, const int *fds,
                int n_fds)
{
    struct err err = {0};
    int r = proto_send_wait(s->sock, type, body, fds, n_fds, SEND_TIMEOUT_MS, &err);
    if (r < 0)
        log_warn(NULL, "starter.send", "%s", err.msg);
    return r;
}

/* ---- workers that were started here */

static struct worker *worker_find(struct starter *s, uint64_t id)
{
    for (size_t i = 0; i < s->n_workers; i++)
        if (s->workers[i].id == id)
            return &s->workers[i];
    return NULL;
}

static struct cgroup_host *groups_of(struct starter *s)
{
    return s->env.has_groups ? &s->env.groups : NULL;
}

static void worker_forget(struct starter *s, struct worker *w)
{
    struct pollfd end = {.fd = w->pidfd, .events = POLLIN};
    struct leftover left = {.mounts_fd = w->mounts_fd, .relay = w->relay, .group = w->group};
    if (poll(&end, 1, 0) == 1) /* nobody can miss what is swept */
        left.own = w->own;
    close_fd(&w->pidfd);
    leftovers_take(&s->leftovers, groups_of(s), &left);
    *w = s->workers[--s->n_workers];
}

static void drop(struct starter *s, struct launch *l)
{
    struct leftover left;
    launch_drop(l, &left);
    leftovers_take(&s->leftovers, groups_of(s), &left);
}

/* Takes the launch's pidfd and group over. */
static int worker_add(struct starter *s, uint64_t id, struct launch *l)
{
    if (s->n_workers == s->cap_workers) {
        size_t cap = s->cap_workers ? 2 * s->cap_workers : 64;
        struct worker *grown = reallocarray(s->workers, cap, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        s->workers = grown;
        s->cap_workers = cap;
    }
    s->workers[s->n_workers++] = (struct worker){.id = id,
                                                 .pid = l->pid,
                                                 .pidfd = steal_fd(&l->pidfd),
                                                 .mounts_fd = steal_fd(&l->mounts_fd),
                                                 .relay = l->relay,
                                                 .group = l->group,
                                                 .own = l->own};
    l->relay = (struct net_relay){.pidfd = -1};
    return 0;
}

/* ---- starts */

static void tell_failed(struct starter *s, uint64_t start_id, const struct err *err)
{
    struct proto_started a = {.start_id = start_id,
                              .code = (uint32_t)(err->code ? err->code : EIO)};
    memcpy(a.message, err->msg, sizeof(a.message) - 1);
    tell(s, PROTO_STARTED, &a, NULL, 0);
}

static void tell_started(struct starter *s, struct pending *p)
{
    struct proto_started a = {.start_id = p->start_id, .pid = (uint32_t)p->launch.pid};
    if (s->env.missing[0])
        snprintf(a.message, sizeof(a.message),
                 "no control group limits %s of this sandbox (vitrine check says how to get it)",
                 s->env.missing);
    else if (p->launch.unconfirmed[0])
        snprintf(a.message, sizeof(a.message),
                 "the kernel did not confirm the limit of %s of this sandbox",
                 p->launch.unconfirmed);
    tell(s, PROTO_STARTED, &a, &p->launch.pidfd, 1);
}

static int take_fds(struct proto_msg *m, int fds[SPEC_FD_COUNT], struct err *err)
{
    bool job = m->u.start.flags & START_JOB;
    int want = job ? SPEC_FD_STDERR + 1 : SPEC_FD_EXIT + 1;
    if (m->n_fds != want)
        return err_set(err, EINVAL, "spec: START came with %d descriptors instead of %d", m->n_fds,
                       want);
    for (int i = 0; i < SPEC_FD_COUNT; i++)
        fds[i] = i < want ? m->fds[i] : -1;
    return 0;
}

/* A spare that has this root: 1, 0 if there is none. */
static int take_spare(struct starter *s, const char *root, struct launch *l, struct err *err)
{
    while (s->n_spares > 0) {
        struct launch *last = &s->spares[s->n_spares - 1];
        int r = launch_fits(&s->env, last, root, err);
        if (r < 0 || (r == 0 && strcmp(root, SPARE_ROOT) != 0))
            return r;
        s->n_spares--;
        if (r == 1) {
            *l = *last;
            return 1;
        }
        drop(s, last); /* the host's /etc has changed since */
    }
    return 0;
}

static int begin(struct starter *s, struct launch *l, struct err *err)
{
    int fds[SPEC_FD_COUNT];
    int r = take_fds(&s->msg, fds, err);
    if (r < 0)
        return r;
    if (worker_find(s, s->msg.u.start.worker_id))
        return err_set(err, EEXIST, "spec: worker %llu was started before and not removed",
                       (unsigned long long)s->msg.u.start.worker_id);
    if ((s->msg.u.start.flags & START_NEED_LIMITS) && s->env.missing[0])
        return err_set(err, ENOTSUP, "no control group limits %s here, and limits are asked for",
                       s->env.missing);
    if ((r = take_spare(s, s->msg.u.start.root, l, err)) < 0)
        return r;
    if (r == 0)
        r = launch_open(&s->env, s->msg.u.start.root, l, err);
    if (r >= 0 && s->env.has_groups)
        cpu_classes_begin(&s->classes, &s->env.groups, l->pid, s->msg.u.start.cpu_milli);
    if (r < 0 || (r = launch_go(&s->env, l, &s->msg.u.start, fds, err)) < 0)
        drop(s, l);
    return r;
}

static void on_start(struct starter *s)
{
    struct pending *p = &s->pending[s->n_pending];
    struct err err = {0};
    p->start_id = s->msg.u.start.start_id;
    p->worker_id = s->msg.u.start.worker_id;
    if (begin(s, &p->launch, &err) < 0)
        tell_failed(s, p->start_id, &err);
    else
        s->n_pending++;
}

/* A start has said how it went (or its process has died). */
static void on_answer(struct starter *s, int i)
{
    struct pending *p = &s->pending[i];
    struct err err = {0};
    int r = launch_result(&p->launch, &err);
    if (r == -EAGAIN)
        return;
    if (r == 1 && worker_add(s, p->worker_id, &p->launch) < 0)
        r = err_set(&err, ENOMEM, "out of memory");
    if (r == 1) {
        /* the table has the pidfd now */
        p->launch.pidfd = s->workers[s->n_workers - 1].pidfd;
        tell_started(s, p);
        s->started_ms = mono_ms();
        launch_finish(&p->launch);
    } else {
        tell_failed(s, p->start_id, &err);
        drop(s, &p->launch);
    }
    *p = s->pending[--s->n_pending];
}

/* In how many ms a spare is to be made, if nobody wants anything before; -1: there are enough. */
static int spare_wanted_in(const struct starter *s)
{
    if (s->n_spares == MAX_SPARES)
        return -1;
    if (s->n_pending > 0)
        return SPARE_RETRY_MS;
    uint64_t now = mono_ms(), at = s->spare_not_before_ms;
    if (s->n_spares > SPARES_LOW && at < s->started_ms + SPARE_PAUSE_MS)
        at = s->started_ms + SPARE_PAUSE_MS;
    return at > now ? (int)(at - now) : 0;
}

static void make_spare(struct starter *s)
{
    if (s->n_spares == MAX_SPARES || mono_ms() < s->spare_not_before_ms)
        return;
    struct err err = {0};
    struct launch *l = &s->spares[s->n_spares];
    if (launch_open(&s->env, SPARE_ROOT, l, &err) == 0) {
        s->n_spares++;
    } else {
        drop(s, l);
        log_warn(NULL, "starter.spare", "%s", err.msg);
        s->spare_not_before_ms = mono_ms() + SPARE_RETRY_MS;
    }
}

/* A spare has nothing to say before its order but that it failed. */
static void on_spare(struct starter *s, int i)
{
    struct err err = {0};
    if (launch_result(&s->spares[i], &err) == -EAGAIN)
        return;
    log_warn(NULL, "starter.spare", "%s", err.msg);
    drop(s, &s->spares[i]);
    s->spares[i] = s->spares[--s->n_spares];
    s->spare_not_before_ms = mono_ms() + SPARE_RETRY_MS;
}

/* ---- groups */

static void tell_stat(struct starter *s, uint64_t worker_id, const struct cgroup_group *g)
{
    struct cgroup_stat st = {0};
    struct proto_group_stat a = {.worker_id = worker_id};
    a.valid = s->env.has_groups && g && cgroup_stat(&s->env.groups, g, &st);
    a.memory_bytes = st.memory_bytes;
    a.memory_peak_bytes = st.memory_peak_bytes;
    a.cpu_us = st.cpu_us;
    a.pids = st.pids;
    a.oom_kills = st.oom_kills;
    a.pids_refused = st.pids_refused;
    a.cpu_periods = st.cpu_periods;
    a.cpu_throttled = st.cpu_throttled;
    tell(s, PROTO_GROUP_STAT, &a, NULL, 0);
}

/* The group of a worker of ours, or of one that an earlier starter made. */
static const struct cgroup_group *group_of(struct starter *s, uint64_t worker_id,
                                           struct cgroup_group *store)
{
    struct worker *w = worker_find(s, worker_id);
    if (w)
        return &w->group;
    return s->env.has_groups && cgroup_find(&s->env.groups, worker_id, store) ? store : NULL;
}

static void on_group_kill(struct starter *s)
{
    uint64_t id = s->msg.u.group_kill.worker_id;
    struct cgroup_group store;
    const struct cgroup_group *g = group_of(s, id, &store);
    struct worker *w = worker_find(s, id);
    if (g && s->env.has_groups)
        cgroup_kill(&s->env.groups, g);
    if (w) /* the end of PID 1 is the end of its whole pid namespace */
        (void)syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
    tell_stat(s, id, g);
}

static void on_group_ask(struct starter *s)
{
    uint64_t id = s->msg.u.group_ask.worker_id;
    struct cgroup_group store;
    const struct cgroup_group *g = group_of(s, id, &store);
    tell_stat(s, id, g);
    if (!s->msg.u.group_ask.remove)
        return;
    struct worker *w = worker_find(s, id);
    if (w)
        worker_forget(s, w);
    else if (g) /* of an earlier starter */
        leftovers_take(&s->leftovers, groups_of(s),
                       &(struct leftover){.mounts_fd = -1, .relay.pidfd = -1, .group = *g});
}

/* ---- the loop */

/* One message of the runner: false at the end. */
static bool on_message(struct starter *s)
{
    struct err err = {0};
    int r = proto_recv(s->sock, &s->msg, 0, &err);
    if (r == -EAGAIN)
        return true;
    if (r <= 0) {
        if (r < 0)
            log_error(NULL, "starter.message", "%s", err.msg);
        return false;
    }
    switch (s->msg.type) {
    case PROTO_START:
        on_start(s);
        explicit_bzero(s->msg.u.start.env, s->msg.u.start.env_len); /* secrets */
        break;
    case PROTO_GROUP_KILL:
        on_group_kill(s);
        break;
    case PROTO_GROUP_ASK:
        on_group_ask(s);
        break;
    default:
        log_error(NULL, "starter.message", "%s is no message for the starter",
                  proto_type_name(s->msg.type));
    }
    proto_msg_done(&s->msg);
    return true;
}

static void loop(struct starter *s)
{
    for (;;) {
        enum { MESSAGES, LEFTOVERS, SPARES, PENDING = SPARES + MAX_SPARES };
        struct pollfd p[PENDING + MAX_PENDING];
        int n = s->n_pending, n_spares = s->n_spares;
        p[MESSAGES] = (struct pollfd){.fd = n < MAX_PENDING ? s->sock : -1, .events = POLLIN};
        p[LEFTOVERS] = (struct pollfd){
            .fd = leftovers_waiting(&s->leftovers) ? s->leftovers.sock : -1, .events = POLLOUT};
        for (int i = 0; i < MAX_SPARES; i++)
            p[SPARES + i] =
                (struct pollfd){.fd = i < n_spares ? s->spares[i].sock : -1, .events = POLLIN};
        for (int i = 0; i < n; i++)
            p[PENDING + i] = (struct pollfd){.fd = s->pending[i].launch.sock, .events = POLLIN};
        int look_ms = s->env.has_groups ? cpu_classes_look(&s->classes, &s->env.groups) : -1;
        int spare_ms = spare_wanted_in(s);
        bool look_first = look_ms >= 0 && (spare_ms < 0 || look_ms < spare_ms);
        int ready = poll(p, PENDING + (nfds_t)n, look_first ? look_ms : spare_ms);
        if (ready == 0 && !look_first)
            make_spare(s);
        if (ready <= 0)
            continue;
        for (int i = n - 1; i >= 0; i--)
            if (p[PENDING + i].revents)
                on_answer(s, i);
        for (int i = n_spares - 1; i >= 0; i--)
            if (p[SPARES + i].revents)
                on_spare(s, i);
        if (p[LEFTOVERS].revents)
            leftovers_go_on(&s->leftovers, groups_of(s));
        if (p[MESSAGES].revents && !on_message(s))
            return;
    }
}

int starter_main(const char *instance, uid_t uid_first)
{
    struct starter *s = &the_starter;
    struct err err = {0};
    log_init("vitrine-sandbox", LOG_FORMAT_TEXT, LOG_LEVEL_INFO, STDERR_FILENO);
    /* nobody waits for the children: pidfds tell of their end. A terminal's signals are for those
     * who supervise us; the end of fd 3 is ours. */
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    s->sock = STARTER_FD;
    if (fd_set_cloexec(s->sock, true) < 0 || fd_set_nonblock(s->sock, true) < 0) {
        log_error(NULL, "starter.fd", "descriptor %d is not there: the runner starts this program",
                  STARTER_FD);
        return 2;
    }
    if (userns_enter_outer(&err) < 0 ||
        launch_env_open(&s->env, instance, uid_first, true, &err) < 0) {
        log_error(NULL, "starter.start", "%s", err.msg);
        return 1;
    }
    if (leftovers_start(&s->leftovers, &s->classes, &err) < 0)
        log_warn(NULL, "starter.leftovers", "%s", err.msg);
    if (s->env.missing[0])
        log_warn(NULL, "starter.limits",
                 "no control group limits %s; resource limits of each process stand in",
                 s->env.missing);
    loop(s);
    /* what is under way goes on by itself: it has its order, and a listener for the next runner */
    for (int i = 0; i < s->n_pending; i++) {
        launch_finish(&s->pending[i].launch);
        close_fd(&s->pending[i].launch.pidfd);
        close_fd(&s->pending[i].launch.mounts_fd);
    }
    while (s->n_spares > 0)
        drop(s, &s->spares[--s->n_spares]);
    leftovers_end(&s->leftovers, groups_of(s));
    if (s->env.has_groups && s->n_pending == 0) /* those may not have joined their groups yet */
        cgroup_host_sweep(&s->env.groups);
    launch_env_close(&s->env);
    cpu_classes_free(&s->classes);
    free(s->workers);
    return 0;
}
