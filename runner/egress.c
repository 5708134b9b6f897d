/* See egress.h. */
#include "runner/egress.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/conf.h"
#include "common/lines.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/util.h"
#include "runner/indexes.h"
#include "runner/link.h"
#include "runner/loop.h"
#include "runner/runner.h"
#include "runner/spawn.h"
#include "runner/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define FD_RUNNER 3 /* as egress/main.c has them */
#define FD_POLICY 4
#define FD_LISTENER 5
#define MAX_POLICY (256 * 1024)
#define MAX_LINE 2048
#define BACKLOG 128
#define DIAL_MS 20000
#define REDIAL_MS 20

struct egress {
    struct worker *worker;
    struct loop *loop;
    struct egress_hooks hooks;
    struct link dial;
    struct loop_timer timer; /* the next try, or the end of all */
    uint64_t until_ms;
    int sock, pidfd;
    struct loop_io *io;
    struct lines lines; /* that it says */
    struct egress_counts counts;
};

static void fail(struct egress *e, const char *why)
{
    loop_timer_cancel(e->loop, &e->timer);
    link_close(&e->dial);
    loop_del(e->loop, &e->io);
    e->hooks.on_end(e->hooks.arg, why);
}

/* ---- what it says ---- */

static bool take_line(void *arg, char *line, size_t len)
{
    (void)len;
    struct egress *e = arg;
    const struct loop_io *io = e->io;
    uint64_t a, b, c;
    if (strcmp(line, "@ready") == 0) {
        loop_timer_cancel(e->loop, &e->timer);
    } else if (sscanf(line, "@count %" SCNu64 " %" SCNu64 " %" SCNu64, &a, &b, &c) == 3) {
        e->counts.connections = a;
        e->counts.bytes_in = b;
        e->counts.bytes_out = c;
    } else if (strncmp(line, "@refused ", 9) == 0) {
        if (!e->counts.refused++)
            snprintf(e->counts.first_refused, sizeof(e->counts.first_refused), "%.270s", line + 9);
    } else if (line[0] != '@' && e->hooks.on_say) {
        char text[MAX_LINE];
        snprintf(text, sizeof(text), "%s", line);
        e->hooks.on_say(e->hooks.arg, text);
        return !loop_io_is_dead(io); /* it may have ended it */
    }
    return true;
}

static void on_said(void *arg, uint32_t events)
{
    (void)events;
    struct egress *e = arg;
    int n = lines_read(&e->lines, e->sock, 1, take_line, e);
    if (n == 0 || (n < 0 && n != -ECANCELED))
        fail(e, "the way out of the build has ended unexpectedly; the server's log says why");
}

/* ---- its start ---- */

static int policy_fd(struct egress *e, struct err *err)
{
    struct buf policy = BUF_INIT(MAX_POLICY);
    _cleanup_close_ int fd = memfd_create("vitrine-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int (*fill)(struct runner *, struct buf *) = e->hooks.policy ? e->hooks.policy : indexes_policy;
    int n = fd < 0 ? -errno : fill(e->worker->r, &policy);
    if (n == 0)
        n = write_all(fd, policy.data ? policy.data : "", policy.len);
    if (n == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        n = -errno;
    if (policy.data)
        explicit_bzero(policy.data, policy.len);
    buf_free(&policy);
    return n < 0 ? err_set(err, -n, "cannot hand the policy over: %s", strerror(-n))
                 : steal_fd(&fd);
}

/* dup2 onto itself would leave it close-on-exec: each is out of the way first. */
static int out_of_the_way(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, FD_LISTENER + 1);
}

static int spawn(struct egress *e, int theirs, int policy, int listener, struct err *err)
{
    const struct runner *r = e->worker->r;
    char path[PATH_MAX], uid_first[24];
    snprintf(path, sizeof(path), "%s/vitrine-egress", r->programs);
    snprintf(uid_first, sizeof(uid_first), "%" PRIu64, conf_of(r)->sandbox_uid_first);
    char *argv[] = {"vitrine-egress", uid_first,
                    conf_of(r)->sandbox_require_services ? NULL : "unconfined-is-fine", NULL};
    char tmp[PATH_MAX];
    const char *tmpdir = getenv("TMPDIR");
    snprintf(tmp, sizeof(tmp), "TMPDIR=%s", tmpdir ? tmpdir : "/tmp");
    char *env[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", tmp, NULL};
    _cleanup_close_ int a = out_of_the_way(theirs), b = out_of_the_way(policy),
                        c = out_of_the_way(listener);
    if (a < 0 || b < 0 || c < 0)
        return err_errno(err, "cannot hand descriptors over");
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, a, FD_RUNNER);
    posix_spawn_file_actions_adddup2(&files, b, FD_POLICY);
    posix_spawn_file_actions_adddup2(&files, c, FD_LISTENER);
    int pidfd = spawn_program(path, &files, argv, env, err);
    if (pidfd < 0)
        return pidfd;
    e->pidfd = pidfd;
    return 0;
}

static int start(struct egress *e, int listener, struct err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(EGRESS_PORT),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int pair[2];
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, BACKLOG) < 0)
        return err_errno(err, "cannot listen in the build's sandbox");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, "cannot make a socket");
    e->sock = pair[0];
    _cleanup_close_ int theirs = pair[1];
    int n = fd_set_nonblock(e->sock, true);
    if (n < 0)
        return err_set(err, -n, "cannot set up a socket: %s", strerror(-n));
    _cleanup_close_ int policy = policy_fd(e, err);
    n = policy < 0 ? policy : spawn(e, theirs, policy, listener, err);
    if (n < 0)
        return n;
    e->io = loop_add(e->loop, e->sock, EPOLLIN, on_said, e, err);
    return e->io ? 0 : -EIO;
}

static void try_again(struct egress *e)
{
    link_close(&e->dial);
    if (mono_ms() > e->until_ms)
        fail(e, "the way out of the build could not be opened: its sandbox does not answer");
    else
        loop_timer_set(e->loop, &e->timer, REDIAL_MS);
}

static void on_dial(void *arg, struct proto_msg *m)
{
    struct egress *e = arg;
    struct err err = {0};
    if (e->sock >= 0 || m->type != PROTO_DIALED)
        return;
    if (m->n_fds < 1 || !fd_is_tcp(m->fds[0])) {
        try_again(e);
        return;
    }
    _cleanup_close_ int fd = steal_fd(&m->fds[0]);
    if (start(e, fd, &err) == 0) {
        link_close(&e->dial);
        loop_timer_set(e->loop, &e->timer, DIAL_MS);
        return;
    }
    log_error(NULL, "build.egress", "%s", err.msg);
    fail(e, "the way out of the build could not be opened; the server's log says why");
}

static void on_dial_gone(void *arg, const char *why)
{
    (void)why;
    struct egress *e = arg;
    if (e->sock < 0)
        try_again(e);
}

static void on_timer(void *arg)
{
    struct egress *e = arg;
    if (e->sock >= 0) {
        fail(e, "the way out of the build does not start");
        return;
    }
    int fd = worker_dial(e->worker, NULL);
    struct proto_dial ask = {.count = 1};
    if (fd < 0 || link_open(&e->dial, e->loop, fd, NULL) < 0 ||
        link_send(&e->dial, PROTO_DIAL, &ask, NULL, 0) < 0)
        try_again(e);
}

int egress_begin(struct egress **ret, struct worker *w, const struct egress_hooks *hooks,
                 struct err *err)
{
    struct egress *e = calloc(1, sizeof(*e));
    if (!e)
        return err_set(err, ENOMEM, "the server is out of memory");
    *e = (struct egress){.worker = w,
                         .loop = w->r->loop,
                         .hooks = *hooks,
                         .sock = -1,
                         .pidfd = -1,
                         .lines = LINES_INIT(MAX_LINE - 1, true, 0),
                         .until_ms = mono_ms() + DIAL_MS};
    e->timer = (struct loop_timer){.fn = on_timer, .arg = e};
    e->dial = (struct link){.on_msg = on_dial, .on_gone = on_dial_gone, .arg = e};
    indexes_begin(w->r);
    loop_timer_set(e->loop, &e->timer, 0);
    *ret = e;
    return 0;
}

void egress_end(struct egress **pe)
{
    struct egress *e = *pe;
    if (!e)
        return;
    *pe = NULL;
    loop_timer_cancel(e->loop, &e->timer);
    link_close(&e->dial);
    loop_del(e->loop, &e->io);
    close_fd(&e->sock);
    if (e->pidfd >= 0) {
        pidfd_send_signal(e->pidfd, SIGKILL, NULL, 0);
        waitid(P_PIDFD, (id_t)e->pidfd, NULL, WEXITED);
        close_fd(&e->pidfd);
    }
    lines_free(&e->lines);
    free(e);
}

const struct egress_counts *egress_counts(const struct egress *e)
{
    return &e->counts;
}
