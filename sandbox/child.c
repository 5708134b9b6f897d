/* The process that becomes PID 1 of a sandbox: from its birth in new namespaces to the loop that it
 * stays in (init.c). The sandbox is the list of steps below, in that order. */
#include "sandbox/launch.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "sandbox/creds.h"
#include "sandbox/filesystems.h"
#include "sandbox/filter.h"
#include "sandbox/init.h"
#include "sandbox/limits.h"
#include "sandbox/mounts.h"
#include "sandbox/network.h"
#include "sandbox/pass_fds.h"
#include "sandbox/program.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OOM_SCORE_PROGRAM 500 /* the program goes before PID 1, which tells of it */

struct child {
    const struct launch_env *env;
    struct order *order;
    int sock; /* to the starter */
    int proc_fd, root_fd, report_fd;
    int stdio[3]; /* the program's */
    int log_rd;   /* what it writes, where there is a log */
    bool limited; /* the starter has said that our group's limits are set */
    pid_t program;
    struct init *init;
};

static int step_no_new_privs(struct child *c, struct err *err)
{
    (void)c;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_errno(err, "set no_new_privs");
    return 0;
}

/* A session of our own, so that no terminal's signals reach a worker; signals as they are born. */
static int step_session(struct child *c, struct err *err)
{
    (void)c;
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    limits_ask_for_short_turns();
    return setsid() < 0 ? err_errno(err, "setsid") : 0;
}

/* Nothing of the starter's stays open: stdio becomes /dev/null, and of the rest only the socket. */
static int step_descriptors(struct child *c, struct err *err)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC); /* closed below with all others */
    if (null < 0)
        return err_errno(err, "open /dev/null");
    for (int i = 0; i < 3; i++)
        if (dup2(null, i) < 0)
            return err_errno(err, "set descriptor %d", i);
    unsigned sock = (unsigned)c->sock;
    if ((sock > 3 && syscall(SYS_close_range, 3, sock - 1, 0) < 0) ||
        syscall(SYS_close_range, sock + 1, ~0U, 0) < 0)
        return err_errno(err, "close_range");
    return 0;
}

static void restore(int *fd, const int *received, int n)
{
    if (*fd >= 0)
        *fd = *fd < n ? received[*fd] : -1;
}

/* Waits for a message of the starter with descriptors: how many. */
static int receive_fds(struct child *c, int received[LAUNCH_MAX_PASSED], struct err *err)
{
    int n = pass_fds_receive(c->sock, received, LAUNCH_MAX_PASSED, MSG_CMSG_CLOEXEC);
    if (n == -EPIPE)
        _exit(0); /* the starter ended, or found something wrong with the order */
    return n < 0 ? err_set(err, -n, "receive descriptors: %s", strerror(-n)) : n;
}

/* "0" is the writer itself; the files were opened by the starter, whose right it is. The unified
 * hierarchy's group is the one that we were cloned into. */
static int step_cgroup(struct child *c, struct err *err)
{
    int join[LAUNCH_MAX_PASSED], n = 0;
    if (c->env->has_groups && cgroup_count_v1(&c->env->groups) > 0)
        n = receive_fds(c, join, err);
    if (n < 0)
        return n;
    for (int i = 0; i < n; i++) {
        if (write(join[i], "0", 1) < 0)
            return err_errno(err, "join a control group");
        close(join[i]);
    }
    if (unshare(CLONE_NEWCGROUP) < 0)
        return err_errno(err, "make a cgroup namespace");
    return 0;
}

/* Waits for the order, and with it for the maps: the starter writes them before it sends. */
static int step_order(struct child *c, struct err *err)
{
    int received[LAUNCH_MAX_PASSED], count = receive_fds(c, received, err);
    if (count < 0)
        return count;
    struct order *o = c->order;
    for (int i = 0; i < SPEC_FD_COUNT; i++)
        restore(&o->fds[i], received, count);
    restore(&o->relay_fd, received, count);
    restore(&o->plan.app_fd, received, count);
    for (int i = 0; i < o->plan.n; i++) {
        restore(&o->plan.mounts[i].fd, received, count);
        restore(&o->plan.mounts[i].base_fd, received, count);
    }
    return 0;
}

static int step_identity(struct child *c, struct err *err)
{
    (void)c;
    return creds_become_root(err);
}

static int step_private_mounts(struct child *c, struct err *err)
{
    (void)c;
    return mounts_private(err);
}

/* Waits for the root, and puts our own /proc into it. */
static int step_root(struct child *c, struct err *err)
{
    int received[LAUNCH_MAX_PASSED], count = receive_fds(c, received, err);
    if (count < 0)
        return count;
    if (count != 1)
        return err_set(err, EPROTO, "%d descriptors came instead of one", count);
    int r = mounts_begin(received[0], &c->root_fd, &c->proc_fd, err);
    close(received[0]);
    return r;
}

static int step_enter(struct child *c, struct err *err)
{
    return mounts_enter(c->root_fd, err);
}

/* Behind the fork: the kernel keeps us waiting here, and the program's process does its own part
 * meanwhile. What runs in it by then is ours, and it is let go when this is done. */
static int step_old_root(struct child *c, struct err *err)
{
    (void)c;
    return mounts_leave_old(err);
}

/* The starter sets the limits of our group meanwhile; nothing of the program's may run before. */
static int step_group_limits(struct child *c, struct err *err)
{
    int none[LAUNCH_MAX_PASSED], n = c->limited ? 0 : receive_fds(c, none, err);
    c->limited = n >= 0;
    return n < 0 ? n : 0;
}

/* A source that is asked for must be nobody else's any more (mounts.c): the starter has let go of
 * its descriptors when it says that the limits are set. */
static int step_mounts(struct child *c, struct err *err)
{
    int r = c->order->plan.n > 0 ? step_group_limits(c, err) : 0;
    if (r < 0)
        return r;
    r = mounts_complete(c->root_fd, &c->order->plan, &c->order->spec, &c->order->own, err);
    close_fd(&c->root_fd);
    return r;
}

/* By ourselves, not by the clone: meanwhile the starter puts the root together. */
static int step_namespaces(struct child *c, struct err *err)
{
    (void)c;
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return err_errno(err, "make network, ipc and uts namespaces");
    return 0;
}

static int step_network(struct child *c, struct err *err)
{
    (void)c;
    return network_loopback(err);
}

static int step_port(struct child *c, struct err *err)
{
    return network_open_port(c->proc_fd, c->order->spec.start.port, err);
}

/* The last that needs rights over the network namespace; the program is not there yet. */
static int step_way_out(struct child *c, struct err *err)
{
    const struct order *o = c->order;
    if (o->spec.start.net == NET_NONE)
        return 0;
    return net_relay_attach(c->proc_fd, o->relay_fd, &o->spec.start, &o->host, err);
}

static int step_hostname(struct child *c, struct err *err)
{
    const char *name = c->order->spec.start.hostname;
    name = *name ? name : "sandbox";
    if (sethostname(name, strlen(name)) < 0 || setdomainname("", 0) < 0)
        return err_errno(err, "set the host name %s", name);
    return 0;
}

static int step_namespace_limits(struct child *c, struct err *err)
{
    return limits_of_namespace(c->proc_fd, err);
}

/* For both sides of the fork: what is not in the bounding set cannot come back. */
static int step_bounds(struct child *c, struct err *err)
{
    (void)c;
    return creds_drop_bounds(err);
}

/* A worker reads from nowhere and writes to the log; a job has the three that it was given. */
static int step_stdio(struct child *c, struct err *err)
{
    const int *fds = c->order->fds;
    for (int i = 0; i < 3; i++)
        c->stdio[i] = fds[SPEC_FD_STDIN + i] >= 0 ? fds[SPEC_FD_STDIN + i] : STDIN_FILENO;
    if (fds[SPEC_FD_LOG0] < 0)
        return 0;
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0)
        return err_errno(err, "make the log's pipe");
    /* the program's, to write to: many open /dev/stdout and /dev/stderr anew */
    if (fchmod(p[1], 0200) < 0 || fchown(p[1], SPEC_UID, SPEC_UID) < 0)
        return err_errno(err, "give the log's pipe to the program");
    c->log_rd = p[0];
    bool used = false;
    for (int i = 1; i < 3; i++)
        if (fds[SPEC_FD_STDIN + i] < 0) {
            c->stdio[i] = p[1];
            used = true;
        }
    if (!used)
        close(p[1]);
    return fd_set_nonblock(c->log_rd, true);
}

/* The program's process, before there is an order: it does its own part of what does not depend on
 * one, and waits. The score is inherited: raised for the fork, and taken back for ourselves. */
static int step_fork(struct child *c, struct err *err)
{
    int p[2], r = limits_oom_score(c->proc_fd, OOM_SCORE_PROGRAM, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0)
        return err_errno(err, "make a socket pair");
    c->program = fork();
    if (c->program < 0)
        return err_errno(err, "fork the program's process");
    if (c->program == 0) {
        close(p[0]);
        close(c->sock);
        program_main(c->env, c->order, p[1]);
    }
    close(p[1]);
    c->report_fd = p[0];
    return limits_oom_score(c->proc_fd, 0, err);
}

/* The program's own steps count for the start: it reports before it calls exec. */
static int step_program_ready(struct child *c, struct err *err)
{
    struct program_report report;
    ssize_t n = read_all(c->report_fd, &report, sizeof(report));
    if (n != sizeof(report))
        return err_set(err, EIO, "its process died before it could start");
    if (report.stage == PROGRAM_READY)
        return 0;
    report.msg[sizeof(report.msg) - 1] = '\0';
    return err_set(err, report.code, "%s", report.msg);
}

/* Lets it go on. */
static int step_release(struct child *c, struct err *err)
{
    if (pass_fds(c->report_fd, c->stdio, 3, 0) < 0)
        return step_program_ready(c, err); /* it has ended, and may have said why */
    for (int i = 0; i < 3; i++)
        if (c->stdio[i] > 2) {
            int fd = c->stdio[i];
            for (int k = i; k < 3; k++)
                if (c->stdio[k] == fd)
                    c->stdio[k] = -1;
            close(fd);
        }
    return 0;
}

/* The program is on its way by now; the procfs is for our own counting. */
static int step_settle(struct child *c, struct err *err)
{
    int r = fs_proc_show_to_group_0(c->proc_fd, err);
    return r < 0 ? r : creds_settle_init(err);
}

static int step_init(struct child *c, struct err *err)
{
    const struct proto_start *st = &c->order->spec.start;
    struct init_config conf = {
        .worker_id = st->worker_id,
        .lease_ms = st->lease_ms,
        .log_bytes = st->log_bytes,
        .log_rate = st->log_rate,
        .program = c->program,
        .proc_fd = c->proc_fd,
        .report_fd = c->report_fd,
        .log_rd = c->log_rd,
        .listener = c->order->fds[SPEC_FD_LISTENER],
        .control = c->order->fds[SPEC_FD_CONTROL],
        .log = {c->order->fds[SPEC_FD_LOG0], c->order->fds[SPEC_FD_LOG1]},
        .exit_fd = c->order->fds[SPEC_FD_EXIT],
        .relay = c->order->relay_fd,
    };
    char *const *env = c->order->spec.env;
    while (*env)
        env++;
    conf.n_secrets = st->secrets;
    conf.secrets = env - conf.n_secrets;
    uint64_t *limits = conf.limits.v;
    limits[LIMIT_TMP_SIZE] = st->tmp_bytes;
    limits[LIMIT_HOME_SIZE] = st->home_bytes;
    limits[LIMIT_OPEN_FILES] = st->open_files;
    limits[LIMIT_FILE_SIZE] = st->file_size_bytes;
    limits[LIMIT_LOG_RATE] = st->log_rate;
    return init_new(&conf, &c->init, err);
}

static int step_filter(struct child *c, struct err *err)
{
    (void)c;
    return filter_load(&filter_init, err);
}

static const struct {
    const char *name;
    int (*run)(struct child *c, struct err *err);
} steps[] = {
    {"no_new_privs", step_no_new_privs},
    {"session", step_session},
    {"descriptors", step_descriptors},
    {"namespaces", step_namespaces},
    {"network", step_network},
    {"private mounts", step_private_mounts},
    {"capability bounds", step_bounds},
    {"root", step_root},
    {"enter root", step_enter},
    {"cgroup", step_cgroup},
    {"namespace limits", step_namespace_limits},
    {"fork", step_fork},
    {"old root", step_old_root},
    {"order", step_order}, /* everything above is done before anybody asks for a sandbox */
    {"identity", step_identity},
    {"mounts", step_mounts},
    {"port", step_port},
    {"way out", step_way_out},
    {"host name", step_hostname},
    {"stdio", step_stdio},
    {"group limits", step_group_limits},
    {"release", step_release},
    {"settle", step_settle},
    {"init", step_init},
    {"init filter", step_filter},
    {"program", step_program_ready},
};

static void answer(int sock, int code, const char *msg)
{
    struct launch_answer a = {.code = code};
    snprintf(a.msg, sizeof(a.msg), "%s", msg);
    struct iovec iov = {.iov_base = &a, .iov_len = sizeof(a)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    (void)sendmsg(sock, &m, MSG_NOSIGNAL);
}

_Noreturn void child_main(const struct launch_env *env, struct order *order, int sock)
{
    struct child c = {.env = env,
                      .order = order,
                      .sock = sock,
                      .proc_fd = -1,
                      .root_fd = -1,
                      .report_fd = -1,
                      .log_rd = -1};
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        struct err err = {0};
        int r = steps[i].run(&c, &err);
        if (r < 0) {
            (void)err_prefix(&err, -r, "%s", steps[i].name);
            answer(sock, err.code, err.msg);
            _exit(125);
        }
        steps_mark(&order->inside, steps[i].name);
    }
    answer(sock, 0, "");
    close(sock);
    munmap(order, sizeof(*order));
    init_run(c.init);
}
