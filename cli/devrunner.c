#include "devrunner.h"

#include "children.h"
#include "common/cleanup.h"
#include "common/proto.h"
#include "common/service.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define STOP_MS 15000 /* a sandbox that is being made is waited for */
#define REST_MS 5000  /* what takes sandboxes away goes on for a moment */
#define KILL_MS 2000
#define LOOK_MS 5

/* In the child, between fork and exec: descriptors 0 to 4 as service.h says, nothing else. */
static void become_runner(const char *programs, int sup_fd, int conf_fd)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/vitrine-runner", programs);
    setsid(); /* Ctrl-C in the terminal is for `dev`, which ends the rest in order */
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int a = fcntl(sup_fd, F_DUPFD_CLOEXEC, 10), b = fcntl(conf_fd, F_DUPFD_CLOEXEC, 10);
    if (null < 0 || a < 0 || b < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0 ||
        dup2(a, SERVICE_SUP_FD) < 0 || dup2(b, SERVICE_CONF_FD) < 0 ||
        close_range(SERVICE_CONF_FD + 1, ~0U, 0) < 0)
        _exit(126);
    for (int sig = 1; sig < SIGRTMAX; sig++)
        signal(sig, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(path, (char *[]){"vitrine-runner", NULL});
    _exit(127);
}

int devrunner_start(struct devrunner *r, const struct conf *conf, const char *programs,
                    struct err *err)
{
    int sup[2], site[2];
    _cleanup_close_ int conf_fd = conf_to_fd(conf, err);
    if (conf_fd < 0)
        return conf_fd;
    int n = proto_pair(sup, err);
    if (n < 0)
        return n;
    _cleanup_close_ int theirs = sup[1];
    r->sup_fd = sup[0];
    r->pid = fork();
    if (r->pid == 0)
        become_runner(programs, theirs, conf_fd);
    if (r->pid < 0) {
        r->pid = 0;
        close_fd(&r->sup_fd);
        return err_errno(err, "cannot start vitrine-runner");
    }
    n = proto_pair(site, err);
    if (n < 0)
        return n;
    _cleanup_close_ int of_runner = site[1];
    r->site_fd = site[0];
    struct proto_sup_peer peer = {.role = ROLE_WEBUI};
    return proto_send(r->sup_fd, PROTO_SUP_PEER, &peer, &of_runner, 1, err);
}

/* What is left of what it started is ours now: it ends by itself, or is killed. */
static void reap_rest(uint64_t wait_ms)
{
    uint64_t end = mono_ms() + wait_ms, give_up = end + KILL_MS;
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid > 0)
            continue;
        if ((pid < 0 && errno == ECHILD) || mono_ms() > give_up)
            return;
        if (mono_ms() > end)
            children_kill();
        poll(NULL, 0, LOOK_MS);
    }
}

static void close_all(struct devrunner *r)
{
    close_fd(&r->sup_fd);
    close_fd(&r->site_fd);
    r->pid = 0;
}

void devrunner_stop(struct devrunner *r)
{
    uint64_t end = mono_ms() + STOP_MS;
    if (!r->pid)
        return;
    kill(r->pid, SIGTERM);
    while (waitpid(r->pid, NULL, WNOHANG) == 0) {
        if (mono_ms() > end)
            kill(r->pid, SIGKILL);
        poll(NULL, 0, LOOK_MS);
    }
    close_all(r);
    reap_rest(REST_MS);
}

void devrunner_bury(struct devrunner *r)
{
    close_all(r);
    reap_rest(0);
}
