#include "devrunner.h"

#include "become.h"
#include "children.h"
#include "common/cleanup.h"
#include "common/proto.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define STOP_MS 15000 /* a sandbox that is being made is waited for */
#define REST_MS 5000  /* what takes sandboxes away goes on for a moment */
#define KILL_MS 2000
#define LOOK_MS 5

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
    if (r->pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        become_program(programs, "vitrine-runner", theirs, conf_fd, &none);
    }
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
