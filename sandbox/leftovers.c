/* See leftovers.h. */
#include "leftovers.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "sandbox/pass_fds.h"
#include "sandbox/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCK_AT 3 /* its only descriptor beside the first three */
#define END_MS 1000

/* The groups' folders go along each time, since the starter may have to make them anew. */
struct handed {
    struct cgroup_host groups;
    struct leftover one;
    bool has_groups;
};
#define MOST_FDS (2 + CGROUP_HIERARCHIES)

static void count_fd(const int *fd, int fds[MOST_FDS], int *n)
{
    if (*fd >= 0)
        fds[(*n)++] = *fd;
}

static void place_fd(int *fd, const int fds[MOST_FDS], int n, int *next)
{
    *fd = *fd >= 0 && *next < n ? fds[(*next)++] : -1;
}

static void take_away(struct cgroup_host *groups, struct leftover *one)
{
    if (groups && one->group.name[0] && cgroup_remove(groups, &one->group) < 0)
        log_warn(NULL, "starter.group", "control group %s would not go", one->group.name);
    net_relay_end(&one->relay, groups);
    if (one->mounts_fd >= 0)
        sweep(one->mounts_fd, &one->own);
    close_fd(&one->mounts_fd); /* the last one that holds it: this is what takes its time */
}

/* ---- the process */

static void receive(int sock)
{
    struct handed h;
    int fds[MOST_FDS], next = 0;
    int n = pass_data_receive(sock, &h, sizeof(h), fds, MOST_FDS, 0);
    if (n < 0)
        _exit(n == -EPIPE ? 0 : 1);
    place_fd(&h.one.mounts_fd, fds, n, &next);
    place_fd(&h.one.relay.pidfd, fds, n, &next);
    for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
        h.groups.base_fd[i] = -1;
        place_fd(&h.groups.fd[i], fds, n, &next);
    }
    char go; /* the starter has let go of all of it */
    if (read(sock, &go, 1) != 1)
        _exit(1);
    take_away(h.has_groups ? &h.groups : NULL, &h.one);
    for (int i = 0; i < CGROUP_HIERARCHIES; i++)
        close_fd(&h.groups.fd[i]);
}

static _Noreturn void work(int sock, struct cpu_classes *classes)
{
    if (dup2(sock, SOCK_AT) < 0 || syscall(SYS_close_range, SOCK_AT + 1, ~0U, 0) < 0)
        _exit(1);
    cpu_classes_step_back(classes);
    for (;;)
        receive(SOCK_AT);
}

static int start(struct leftovers *l, struct err *err)
{
    int p[2];
    close_fd(&l->sock);
    close_fd(&l->pidfd);
    l->owes_go = false;
    /* a stream, since the kernel lets few messages of others wait */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) < 0)
        return err_errno(err, "make a socket pair");
    struct clone_args args = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&l->pidfd, .exit_signal = SIGCHLD};
    pid_t pid = sys_clone3(&args);
    if (pid == 0)
        work(p[1], l->classes);
    close(p[1]);
    l->sock = p[0];
    if (pid > 0)
        return 0;
    int r = err_errno(err, "start the process that takes away what ended sandboxes leave");
    close_fd(&l->sock);
    l->pidfd = -1;
    return r;
}

int leftovers_start(struct leftovers *l, struct cpu_classes *classes, struct err *err)
{
    *l = (struct leftovers){.sock = -1, .pidfd = -1, .classes = classes};
    return start(l, err);
}

/* ---- the starter's side */

static int hand_over(const struct leftovers *l, const struct cgroup_host *groups,
                     const struct leftover *one, int flags)
{
    struct handed h = {.one = *one, .has_groups = groups};
    int fds[MOST_FDS], n = 0;
    if (l->sock < 0)
        return -EPIPE;
    count_fd(&h.one.mounts_fd, fds, &n);
    count_fd(&h.one.relay.pidfd, fds, &n);
    if (groups)
        h.groups = *groups;
    for (int i = 0; groups && i < CGROUP_HIERARCHIES; i++)
        count_fd(&h.groups.fd[i], fds, &n);
    return pass_data(l->sock, &h, sizeof(h), fds, n, flags);
}

/* The process begins with what it was handed last: the starter no longer holds it. */
static bool can_begin(struct leftovers *l, int flags)
{
    l->owes_go = l->owes_go && send(l->sock, "g", 1, MSG_NOSIGNAL | flags) < 0 && errno == EAGAIN;
    return !l->owes_go;
}

/* False where it has to wait. A process that is gone is started again; nobody to hand it to: done
 * here. */
static bool is_done(struct leftovers *l, struct cgroup_host *groups, struct leftover *one,
                    int flags)
{
    struct err err = {0};
    if (!can_begin(l, flags))
        return false;
    int r = hand_over(l, groups, one, flags);
    if ((r == -EPIPE || r == -ECONNRESET) && start(l, &err) == 0)
        r = hand_over(l, groups, one, flags);
    if (r == -EAGAIN)
        return false;
    cpu_classes_expect(l->classes);
    if (r < 0) {
        log_warn(NULL, "starter.leftovers", "what ended sandboxes leave is taken away here: %s",
                 err.msg[0] ? err.msg : strerror(-r));
        take_away(groups, one);
    }
    close_fd(&one->relay.pidfd);
    close_fd(&one->mounts_fd);
    l->owes_go = r >= 0;
    (void)can_begin(l, flags);
    return true;
}

void leftovers_take(struct leftovers *l, struct cgroup_host *groups, struct leftover *one)
{
    if (groups && cgroup_remove_empty(groups, &one->group) == 0)
        one->group.name[0] = '\0';
    if (one->mounts_fd < 0 && one->relay.pidfd < 0 && !one->relay.group.name[0] &&
        !one->group.name[0])
        return;
    if (l->n == 0 && is_done(l, groups, one, MSG_DONTWAIT))
        return;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 16;
        struct leftover *grown = reallocarray(l->waiting, cap, sizeof(*grown));
        if (!grown) {
            (void)is_done(l, groups, one, 0);
            return;
        }
        l->waiting = grown;
        l->cap = cap;
    }
    l->waiting[l->n++] = *one;
}

bool leftovers_waiting(const struct leftovers *l)
{
    return l->n > 0 || l->owes_go;
}

void leftovers_go_on(struct leftovers *l, struct cgroup_host *groups)
{
    (void)can_begin(l, MSG_DONTWAIT);
    while (l->n > 0 && is_done(l, groups, &l->waiting[l->n - 1], MSG_DONTWAIT))
        l->n--;
}

void leftovers_end(struct leftovers *l, struct cgroup_host *groups)
{
    while (l->n > 0 && is_done(l, groups, &l->waiting[l->n - 1], 0))
        l->n--;
    (void)can_begin(l, 0);
    free(l->waiting);
    close_fd(&l->sock);
    struct pollfd p = {.fd = l->pidfd, .events = POLLIN};
    if (l->pidfd >= 0 && poll(&p, 1, END_MS) == 0) {
        (void)syscall(SYS_pidfd_send_signal, l->pidfd, SIGKILL, NULL, 0);
        (void)poll(&p, 1, END_MS);
    }
    close_fd(&l->pidfd);
}
