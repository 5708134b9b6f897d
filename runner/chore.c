#include "runner/chore.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "runner/runner.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct chore {
    struct chore *next;
    struct runner *r;
    int pidfd;
    struct loop_io *io;
    void (*done)(void *owner, int code);
    void *owner;
};

static void unlink_chore(struct chore *c)
{
    struct chore **p = &c->r->chores;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
}

static void on_exit_of(void *arg, uint32_t events)
{
    (void)events;
    struct chore *c = arg;
    struct runner *r = c->r;
    siginfo_t info = {0};
    waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG);
    loop_del(r->loop, &c->io);
    close_fd(&c->pidfd);
    unlink_chore(c);
    c->done(c->owner, info.si_code == CLD_EXITED ? info.si_status : EIO);
    free(c);
    runner_check_stopped(r);
}

static _Noreturn void run(int (*fn)(const void *arg, struct err *err), const void *arg,
                          pid_t parent)
{
    struct err err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the next runner does it again, from the start */
    if (getppid() != parent)
        _exit(EINTR);
    close_range(3, ~0U, 0);
    int n = fn(arg, &err);
    if (n < 0)
        log_error(NULL, "chore", "%s", err.msg);
    _exit(-n & 0xff);
}

int chore_begin(struct runner *r, int (*fn)(const void *arg, struct err *err), const void *arg,
                void (*done)(void *owner, int code), void *owner, struct err *err)
{
    struct chore *c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(err, ENOMEM, "no memory for a chore");
    *c = (struct chore){.r = r, .done = done, .owner = owner, .pidfd = -1};
    pid_t self = getpid(), pid = fork();
    if (pid == 0)
        run(fn, arg, self);
    int n = pid < 0 ? err_errno(err, "cannot start a process") : 0;
    if (n == 0) {
        c->pidfd = pidfd_open(pid, 0);
        n = c->pidfd < 0 ? err_errno(err, "cannot watch a process") : 0;
    }
    if (n == 0) {
        c->io = loop_add(r->loop, c->pidfd, EPOLLIN, on_exit_of, c, err);
        n = c->io ? 0 : -EIO;
    }
    if (n < 0) {
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
        close_fd(&c->pidfd);
        free(c);
        return n;
    }
    c->next = r->chores;
    r->chores = c;
    return 0;
}

static void kill_chore(struct chore *c)
{
    pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
    waitid(P_PIDFD, (id_t)c->pidfd, NULL, WEXITED);
    loop_del(c->r->loop, &c->io);
    close_fd(&c->pidfd);
    unlink_chore(c);
    free(c);
}

void chore_kill_all(struct runner *r)
{
    while (r->chores)
        kill_chore(r->chores);
}

void chore_kill_of(struct runner *r, const void *owner)
{
    for (struct chore *c = r->chores, *next; c; c = next) {
        next = c->next;
        if (c->owner == owner)
            kill_chore(c);
    }
}
