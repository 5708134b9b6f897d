#include "runner/starter.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/util.h"
#include "runner/runner.h"
#include "runner/spawn.h"
#include "runner/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define STARTER_FD 3
#define TOO_SOON_MS 1000 /* where two in a row lived shorter than this ... */
#define PAUSE_MS 300     /* ... the next one comes after this */
#define EXIT_WAIT_MS 1000

static int spawn(struct runner *r, int sock, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/vitrine-sandbox", r->programs);
    /* Control groups are named after the data folder, so that the next starter finds them. */
    char instance[65], uid_first[24];
    sha256_hex(r->data, strlen(r->data), instance);
    instance[16] = 0;
    snprintf(uid_first, sizeof(uid_first), "%" PRIu64, conf_of(r)->sandbox_uid_first);
    char *argv[] = {"vitrine-sandbox", "starter", "--instance", instance,
                    "--uid-first",     uid_first, NULL};

    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, sock, STARTER_FD);
    int pidfd = spawn_program(path, &files, argv, environ, err);
    if (pidfd < 0)
        return pidfd;
    r->starter_pidfd = pidfd;
    return 0;
}

static void restart(struct runner *r)
{
    struct err err = {0};
    if (starter_begin(r, &err) < 0) {
        log_error(NULL, "starter.start", "%s", err.msg);
        loop_timer_set(r->loop, &r->starter_timer, PAUSE_MS);
        return;
    }
    for (struct worker *w = r->workers, *next; w; w = next) {
        next = w->next;
        worker_starter_restarted(w);
    }
}

static void on_timer(void *arg)
{
    restart(arg);
}

static void on_msg(void *arg, struct proto_msg *m)
{
    struct runner *r = arg;
    struct worker *w;
    switch (m->type) {
    case PROTO_STARTED:
        w = worker_by_id(r, m->u.started.start_id);
        if (w)
            worker_started(w, m);
        break;
    case PROTO_GROUP_STAT:
        w = worker_by_id(r, m->u.group_stat.worker_id);
        if (w)
            worker_group_stat(w, &m->u.group_stat);
        break;
    default:
        log_warn(NULL, "starter.message", "unexpected %s", proto_type_name(m->type));
    }
}

/* Its connection or its process ended; either is the end of both. */
static void ended(struct runner *r)
{
    siginfo_t info = {0};
    pidfd_send_signal(r->starter_pidfd, SIGKILL, NULL, 0);
    waitid(P_PIDFD, (id_t)r->starter_pidfd, &info, WEXITED);
    loop_del(r->loop, &r->starter_exit);
    close_fd(&r->starter_pidfd);
    link_close(&r->starter);
    log_error(NULL, "starter.exit", "vitrine-sandbox ended (%s %d)",
              info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
    uint64_t lived_ms = mono_ms() - r->starter_since_ms;
    r->starter_short_lives = lived_ms < TOO_SOON_MS ? r->starter_short_lives + 1 : 0;
    if (r->starter_short_lives > 1)
        loop_timer_set(r->loop, &r->starter_timer, PAUSE_MS);
    else
        restart(r);
}

static void on_exit_of(void *arg, uint32_t events)
{
    (void)events;
    ended(arg);
}

static void on_gone(void *arg, const char *why)
{
    (void)why;
    ended(arg);
}

int starter_begin(struct runner *r, struct err *err)
{
    r->starter_timer = (struct loop_timer){.fn = on_timer, .arg = r};
    int pair[2];
    int n = proto_pair(pair, err);
    if (n < 0)
        return n;
    _cleanup_close_ int theirs = pair[1];
    r->starter.on_msg = on_msg;
    r->starter.on_gone = on_gone;
    r->starter.arg = r;
    n = link_open(&r->starter, r->loop, pair[0], err);
    if (n == 0)
        n = spawn(r, theirs, err);
    if (n == 0) {
        r->starter_exit = loop_add(r->loop, r->starter_pidfd, EPOLLIN, on_exit_of, r, err);
        n = r->starter_exit ? 0 : -EIO;
    }
    if (n < 0)
        link_close(&r->starter);
    r->starter_since_ms = mono_ms();
    return n;
}

void starter_end(struct runner *r)
{
    link_close(&r->starter);
    if (r->starter_pidfd < 0)
        return;
    struct pollfd p = {.fd = r->starter_pidfd, .events = POLLIN};
    if (poll(&p, 1, EXIT_WAIT_MS) == 0)
        pidfd_send_signal(r->starter_pidfd, SIGKILL, NULL, 0);
    waitid(P_PIDFD, (id_t)r->starter_pidfd, NULL, WEXITED);
}
