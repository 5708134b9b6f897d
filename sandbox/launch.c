/* See launch.h. */
#include "launch.h"

#include "common/cleanup.h"
#include "sandbox/pass_fds.h"
#include "sandbox/sys.h"
#include "sandbox/userns.h"
#include "sandbox/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#ifndef MADV_POPULATE_WRITE /* newer than some libc's header */
#define MADV_POPULATE_WRITE 23
#endif

#define CONNECTIONS_PART 4 /* of its memory limit, where they are counted by themselves */

/* The others are made by the child: while we put the root together, and that of control groups once
 * it is in its group, or its root would be ours. */
#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID)

/* Sources are copied from a mount namespace of our own: it follows the host's mounts, and nothing
 * goes back. */
static int own_mounts(struct err *err)
{
    if (unshare(CLONE_NEWNS) < 0)
        return err_errno(err, "make a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return err_errno(err, "let no mount propagate to the host");
    return 0;
}

int launch_env_open(struct launch_env *env, const char *instance, uid_t uid_first, bool weigh_io,
                    struct err *err)
{
    *env = (struct launch_env){0};
    root_cache_init(&env->roots);
    int r;
    if ((r = userns_range(uid_first, &env->range, err)) < 0 || (r = own_mounts(err)) < 0)
        return r;
    env->has_groups = cgroup_host_open(&env->groups, instance, weigh_io, NULL) == 0;
    if (env->has_groups)
        cgroup_host_missing(&env->groups, env->missing, sizeof(env->missing));
    else
        snprintf(env->missing, sizeof(env->missing), "memory, pids, cpu");
    return 0;
}

void launch_env_close(struct launch_env *env)
{
    if (env->has_groups)
        cgroup_host_close(&env->groups);
    root_cache_close(&env->roots);
}

static void launch_none(struct launch *l)
{
    *l = (struct launch){.pidfd = -1, .sock = -1, .mounts_fd = -1, .relay.pidfd = -1};
}

static int clone_child(struct launch_env *env, struct launch *l, int child_sock, struct err *err)
{
    _cleanup_close_ int group_fd =
        env->has_groups ? cgroup_unified_fd(&env->groups, &l->group) : -1;
    struct clone_args args = {
        .flags = NAMESPACES | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&l->pidfd,
        .exit_signal = SIGCHLD,
    };
    if (group_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)group_fd;
    }
    pid_t pid = sys_clone3(&args);
    if (pid == 0)
        child_main(env, l->order, child_sock);
    if (pid < 0 && errno == EPERM)
        return err_errno(err, "clone: the machine forbids namespaces (vitrine check says why)");
    if (pid < 0)
        return err_errno(err, "clone into new namespaces");
    l->pid = pid;
    char path[40];
    snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
    if ((l->mounts_fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return err_errno(err, "open the mount namespace of the sandbox");
    return 0;
}

/* One message with descriptors, which stay the caller's. */
static int send_fds(int sock, const int *fds, int n, struct err *err)
{
    int r = pass_fds(sock, fds, n, MSG_DONTWAIT);
    return r < 0 ? err_set(err, -r, "hand %d descriptors to the sandbox: %s", n, strerror(-r)) : 0;
}

static int send_root(struct launch_env *env, struct launch *l, const char *root, struct err *err)
{
    _cleanup_close_ int fd = -1;
    int r = root_open(&env->roots, root, &l->root_serial, err);
    if (r == 0)
        r = fd = root_copy(&env->roots, root, err);
    if (r < 0)
        return err_prefix(err, -r, "mounts");
    return send_fds(l->sock, &fd, 1, err);
}

/* What takes its time and is not needed for the child's next steps: the groups of v1 hierarchies,
 * and the files of the root. */
static int follow_up(struct launch_env *env, struct launch *l, const char *root, struct err *err)
{
    int join[CGROUP_HIERARCHIES];
    if (env->has_groups && cgroup_count_v1(&env->groups) > 0) {
        int n = cgroup_create_v1(&env->groups, &l->group, join, err);
        int r = n < 0 ? n : send_fds(l->sock, join, n, err);
        while (n > 0)
            close(join[--n]);
        if (r < 0)
            return r;
        steps_mark(&l->steps, "control group of v1");
    }
    int r = root_fill(&env->roots, root, err);
    steps_mark(&l->steps, "files of the root");
    (void)madvise(l->order, sizeof(*l->order), MADV_POPULATE_WRITE); /* Linux 5.14 */
    return r < 0 ? err_prefix(err, -r, "mounts") : 0;
}

int launch_fits(struct launch_env *env, const struct launch *l, const char *root, struct err *err)
{
    unsigned serial;
    int r = root_open(&env->roots, root, &serial, err);
    return r < 0 ? err_prefix(err, -r, "mounts") : serial == l->root_serial;
}

int launch_open(struct launch_env *env, const char *root, struct launch *ret, struct err *err)
{
    struct launch l;
    launch_none(&l);
    l.order =
        mmap(NULL, sizeof(*l.order), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int r = 0;
    if (l.order == MAP_FAILED) {
        r = err_errno(err, "memory for the order");
        l.order = NULL;
        *ret = l;
        return r;
    }
    _cleanup_close_ int child_sock = -1;
    int p[2];
    steps_mark(&l.steps, "begin");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0) {
        r = err_errno(err, "make a socket pair");
        goto out;
    }
    l.sock = p[0];
    child_sock = p[1];
    if (env->has_groups && (r = cgroup_create(&env->groups, &l.group, err)) < 0)
        goto out;
    steps_mark(&l.steps, "control group");
    if ((r = clone_child(env, &l, child_sock, err)) < 0)
        goto out;
    steps_mark(&l.steps, "clone");
    if (env->on_born && (r = env->on_born(env->on_born_arg, l.pid, err)) < 0)
        goto out;
    if ((r = send_root(env, &l, root, err)) < 0)
        goto out;
    steps_mark(&l.steps, "root");
    if ((r = follow_up(env, &l, root, err)) < 0)
        goto out;
out:
    *ret = l;
    return r;
}

/* Everything the order holds by descriptor goes over in one message; in the order each descriptor
 * is replaced by its place in it. */

static void pass(int *fd, int passed[LAUNCH_MAX_PASSED], int *n)
{
    if (*fd < 0)
        return;
    passed[*n] = *fd;
    *fd = (*n)++;
}

/* The spec's descriptors stay the caller's, the plan's end here. */
static int send_order(struct launch *l, struct err *err)
{
    int passed[LAUNCH_MAX_PASSED], n = 0;
    struct order *o = l->order;
    for (int i = 0; i < SPEC_FD_COUNT; i++)
        pass(&o->fds[i], passed, &n);
    int n_spec = n;
    pass(&o->relay_fd, passed, &n);
    pass(&o->plan.app_fd, passed, &n);
    for (int i = 0; i < o->plan.n; i++) {
        pass(&o->plan.mounts[i].fd, passed, &n);
        pass(&o->plan.mounts[i].base_fd, passed, &n);
    }
    int r = send_fds(l->sock, passed, n, err);
    for (int i = n_spec; i < n; i++)
        close(passed[i]);
    return r;
}

static int limit_group(struct launch_env *env, struct launch *l, struct err *err)
{
    const struct proto_start *st = &l->order->spec.start;
    struct cgroup_limits limits = {.memory_bytes = st->memory_bytes,
                                   .connections_bytes = st->memory_bytes / CONNECTIONS_PART,
                                   .cpu_milli = st->cpu_milli,
                                   .pids = st->pids,
                                   .io_weight = st->io_weight};
    int r = cgroup_set_limits(&env->groups, &l->group, &limits, l->unconfirmed, err);
    /* a weight is no limit: whether a disk heeds it changes with its scheduler */
    bool serious = l->unconfirmed[0] && strcmp(l->unconfirmed, "io weight") != 0;
    if (r == 0 && serious && (st->flags & START_NEED_LIMITS))
        r = err_set(err, ENOTSUP,
                    "the kernel did not confirm the limit of %s, and limits are asked for",
                    l->unconfirmed);
    return r;
}

/* The limits, while the child mounts: it lets the program go on when it hears that they are set. */
static int set_limits(struct launch_env *env, struct launch *l, struct err *err)
{
    const struct proto_start *st = &l->order->spec.start;
    int r;
    if (env->has_groups) {
        if ((r = limit_group(env, l, err)) < 0)
            return err_prefix(err, -r, "cgroup");
        cgroup_mark(&env->groups, &l->group, st->worker_id);
    }
    steps_mark(&l->steps, "group limits");
    r = pass_fds(l->sock, NULL, 0, MSG_DONTWAIT);
    /* one that has failed meanwhile says why: launch_result */
    return r == 0 || r == -EPIPE || r == -ECONNRESET
               ? 0
               : err_set(err, -r, "tell the sandbox that its limits are set: %s", strerror(-r));
}

/* What needs the starter's rights and the child's next steps need: sources, ids. */
static int prepare(struct launch_env *env, struct launch *l, struct err *err)
{
    struct order *o = l->order;
    const struct proto_start *st = &o->spec.start;
    int r;
    if ((r = plan_make(&o->plan, &env->roots, &o->spec, err)) < 0)
        return err_prefix(err, -r, "mounts");
    steps_mark(&l->steps, "sources");
    if (st->net == NET_INTERNET &&
        ((r = net_host_read(&o->host, err)) < 0 ||
         (r = net_relay_start(&l->relay, env->has_groups ? &env->groups : NULL, st, &o->relay_fd,
                              err)) < 0))
        return err_prefix(err, -r, "network");
    if ((r = userns_write_maps(l->pid, &env->range, st->uid_index, err)) < 0)
        return err_prefix(err, -r, "id maps");
    steps_mark(&l->steps, "id maps");
    return 0;
}

/* What is used of it: most of its 100 KB is room in its lists, and touching that room in fresh
 * memory would take longer than anything else that is done here. */
static void copy_start(struct proto_start *to, const struct proto_start *from)
{
#define NUMBER(name) to->name = from->name;
#define TEXT(name, size) memcpy(to->name, from->name, strnlen(from->name, (size)-1) + 1);
#define LIST(name, size)                                                                           \
    to->name##_len = from->name##_len;                                                             \
    memcpy(to->name, from->name, from->name##_len <= (size) ? from->name##_len : 0);
    PROTO_F_START(NUMBER, NUMBER, NUMBER, TEXT, LIST)
#undef NUMBER
#undef TEXT
#undef LIST
}

int launch_go(struct launch_env *env, struct launch *l, const struct proto_start *start,
              const int fds[SPEC_FD_COUNT], struct err *err)
{
    struct order *o = l->order;
    steps_mark(&l->steps, "ready");
    copy_start(&o->spec.start, start);
    int r = spec_parse(&o->spec, err);
    if (r < 0)
        return err_prefix(err, -r, "spec");
    memcpy(o->fds, fds, sizeof(o->fds));
    o->memory_limited = env->has_groups && cgroup_host_has(&env->groups, CGROUP_MEMORY);
    plan_init(&o->plan);
    o->relay_fd = -1;
    if ((r = prepare(env, l, err)) < 0) {
        plan_close(&o->plan);
        close_fd(&o->relay_fd);
        return r;
    }
    r = send_order(l, err);
    steps_mark(&l->steps, "order");
    return r < 0 ? r : set_limits(env, l, err);
}

int launch_result(struct launch *l, struct err *err)
{
    struct launch_answer a;
    ssize_t n = recv(l->sock, &a, sizeof(a), MSG_DONTWAIT);
    if (n < 0 && errno == ECONNRESET) /* it ended with a message unread; its answer comes behind */
        n = recv(l->sock, &a, sizeof(a), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    if (n < 0)
        return err_errno(err, "hear from the sandbox");
    if (n != sizeof(a))
        return err_set(err, EIO,
                       "the sandbox died while it was made (its memory or pids limit may "
                       "be too small for it)");
    a.msg[sizeof(a.msg) - 1] = '\0';
    if (a.code)
        return err_set(err, a.code, "%s", a.msg);
    l->own = l->order->own;
    if (l->own.n < 0 || l->own.n > OWN_FILES_MAX)
        l->own.n = 0;
    steps_mark(&l->steps, "answer");
    steps_print(&l->steps, "outside");
    steps_print(&l->order->inside, "inside");
    steps_print(&l->order->program, "program");
    return 1;
}

void launch_finish(struct launch *l)
{
    if (l->order)
        munmap(l->order, sizeof(*l->order));
    l->order = NULL;
    close_fd(&l->sock);
}

void launch_drop(struct launch *l, struct leftover *ret)
{
    if (l->pid > 0)
        (void)syscall(SYS_pidfd_send_signal, l->pidfd, SIGKILL, NULL, 0);
    launch_finish(l);
    close_fd(&l->pidfd);
    *ret = (struct leftover){
        .mounts_fd = steal_fd(&l->mounts_fd), .relay = l->relay, .group = l->group, .own = l->own};
    launch_none(l);
}

void launch_abandon(struct launch_env *env, struct launch *l)
{
    if (l->pid > 0) {
        siginfo_t info;
        (void)syscall(SYS_pidfd_send_signal, l->pidfd, SIGKILL, NULL, 0);
        (void)waitid(P_PIDFD, (id_t)l->pidfd, &info, WEXITED);
    }
    net_relay_end(&l->relay, env->has_groups ? &env->groups : NULL);
    if (env->has_groups)
        (void)cgroup_remove(&env->groups, &l->group);
    launch_finish(l);
    close_fd(&l->pidfd);
    close_fd(&l->mounts_fd);
    launch_none(l);
}
