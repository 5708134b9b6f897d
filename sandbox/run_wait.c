/* See run_wait.h. */
#include "run_wait.h"

#include "common/cleanup.h"
#include "common/proto.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define STOP_GRACE_MS 5000

/* A pipe between us and the program for descriptor i, if ours is a terminal. */
static int open_stdio(struct run_wait *w, int i, uid_t uid, struct err *err)
{
    w->pumps[i] = (struct run_pump){-1, -1, false};
    w->stdio[i] = i;
    struct stat st;
    if (fstat(i, &st) == 0 && S_ISDIR(st.st_mode))
        return err_set(err, EISDIR, "descriptor %d is a folder: a way out of the sandbox", i);
    if (!isatty(i))
        return 0;
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0)
        return err_errno(err, "make a pipe");
    w->stdio_is_ours[i] = true;
    if (fchmod(p[0], 0600) < 0 ||
        fchown(p[0], uid, (gid_t)uid) < 0) /* /dev/stdout is opened anew */
        return err_errno(err, "give a pipe to the program");
    w->stdio[i] = i == 0 ? p[0] : p[1];
    w->pumps[i] = i == 0 ? (struct run_pump){0, p[1], true} : (struct run_pump){p[0], i, false};
    return 0;
}

int run_wait_open(struct run_wait *w, int control, uid_t uid, struct err *err)
{
    *w = (struct run_wait){.control = control, .signal_fd = -1};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_errno(err, "block signals");
    if ((w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return err_errno(err, "make a signalfd");
    int r = 0;
    for (int i = 0; r == 0 && i < 3; i++)
        r = open_stdio(w, i, uid, err);
    return r;
}

void run_wait_handed_over(struct run_wait *w)
{
    for (int i = 0; i < 3; i++)
        if (w->stdio_is_ours[i])
            close_fd(&w->stdio[i]);
}

static void pump(struct run_pump *p)
{
    char data[16384];
    ssize_t n = read(p->from, data, sizeof(data));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0 && write_all(p->to, data, (size_t)n) == 0)
        return;
    if (p->to_is_ours)
        close(p->to);
    else
        close(p->from);
    *p = (struct run_pump){-1, -1, false};
}

/* The first signal asks the program to end, a second one ends it. */
static void on_signal(struct run_wait *w)
{
    struct signalfd_siginfo info;
    while (read(w->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        struct proto_init_stop stop = {.grace_ms = w->stops++ ? 0 : STOP_GRACE_MS};
        (void)proto_send(w->control, PROTO_INIT_STOP, &stop, NULL, 0, NULL);
    }
}

static int exit_status(struct launch *l, struct err *err)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)l->pidfd, &info, WEXITED) < 0)
        return err_errno(err, "wait for the sandbox");
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/* PID 1's last word, as the status with which it ends itself. */
static int status_of(const struct proto_init_exit *x)
{
    if (x->reason == EXIT_EXEC_FAILED)
        return x->status == ENOENT ? 127 : 126;
    return x->signal ? 128 + x->signal : x->status;
}

/* PID 1 says how the program ended once it has killed all others; its own end, at which the kernel
 * takes the namespaces down, keeps nobody waiting. -EAGAIN: not said yet. */
static int hear_control(struct run_wait *w)
{
    static struct proto_msg msg; /* large */
    int r = proto_recv(w->control, &msg, 0, NULL);
    if (r == -EAGAIN)
        return r;
    if (r <= 0) {
        close_fd(&w->control);
        return -EAGAIN;
    }
    int status = -EAGAIN;
    if (msg.type == PROTO_INIT_EXIT) {
        status = status_of(&msg.u.init_exit);
        w->met |= msg.u.init_exit.met;
    } else if (msg.type == PROTO_INIT_STATE) {
        w->met |= msg.u.init_state.met;
    }
    proto_msg_done(&msg);
    return status;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&p, 1, 0) > 0;
}

/* What the program wrote last is still in the pipes. */
static void drain(struct run_wait *w)
{
    for (int i = 1; i < 3; i++)
        while (is_readable(w->pumps[i].from))
            pump(&w->pumps[i]);
}

int run_wait(struct run_wait *w, struct launch *l, const struct cgroup_host *groups,
             struct err *err)
{
    enum { END, ANSWER, SIGNALS, CONTROL, PUMPS, COUNT = PUMPS + 3 };
    int status = -EAGAIN;
    for (;;) {
        int look_ms = groups ? cpu_classes_look(&w->classes, groups) : -1;
        struct pollfd p[COUNT] = {
            [END] = {.fd = l->pidfd, .events = POLLIN},
            [ANSWER] = {.fd = l->sock, .events = POLLIN},
            [SIGNALS] = {.fd = w->signal_fd, .events = POLLIN},
            [CONTROL] = {.fd = w->control, .events = POLLIN},
        };
        for (int i = 0; i < 3; i++)
            p[PUMPS + i] = (struct pollfd){.fd = w->pumps[i].from, .events = POLLIN};
        if (poll(p, COUNT, look_ms) < 0) {
            if (errno == EINTR)
                continue;
            return err_errno(err, "poll");
        }
        if (p[ANSWER].revents) {
            int r = launch_result(l, err);
            if (r == 1)
                launch_finish(l);
            else if (r != -EAGAIN)
                return r;
        }
        if (p[SIGNALS].revents)
            on_signal(w);
        if (p[CONTROL].revents && status < 0)
            status = hear_control(w);
        for (int i = 0; i < 3; i++)
            if (p[PUMPS + i].revents)
                pump(&w->pumps[i]);
        if (l->sock < 0 && (status >= 0 || p[END].revents)) {
            drain(w);
            while (status < 0 && is_readable(w->control)) /* its last word may be on the way */
                status = hear_control(w);
            cpu_classes_free(&w->classes);
            return status >= 0 ? status : exit_status(l, err);
        }
    }
}
