/* See init.h. One thread, one poll loop, nothing that blocks. */
#include "init.h"

#include "common/cleanup.h"
#include "common/proto.h"
#include "common/util.h"
#include "sandbox/init_blank.h"
#include "sandbox/init_log.h"
#include "sandbox/init_met.h"
#include "sandbox/init_peers.h"
#include "sandbox/init_stats.h"
#include "sandbox/program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEASE_GRACE_MS 5000    /* for a program that nobody wants any more */
#define DRAIN_BYTES (4u << 20) /* at most, of what is still in the pipe at the end */
#define REAP_AT_ONCE 64
#define NEVER UINT64_MAX

struct init {
    struct init_config c;
    int signal_fd;
    struct peers peers;
    struct init_log log;
    struct blank *blank; /* NULL: nothing is to be blanked */
    struct init_met met;
    uint32_t met_told;
    enum proto_init_phase phase;
    enum proto_exit_reason stop_reason; /* 0: nobody asked it to stop */
    int exec_error;
    bool program_gone;
    bool more_to_reap;              /* at once, though no signal comes for it */
    int program_status;             /* of wait */
    uint64_t lease_end_ms, kill_ms; /* CLOCK_MONOTONIC, NEVER */
    char relay_said[200];           /* by the relay, last */
    struct proto_msg msg;
};

/* The one of this process; static, since it is large and lives as long as we do. */
static struct init the_init;

int init_new(const struct init_config *conf, struct init **ret, struct err *err)
{
    struct init *in = &the_init;
    in->c = *conf;
    in->phase = INIT_STARTING;
    in->kill_ms = NEVER;
    in->met.limits = conf->limits;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
        return err_errno(err, "block SIGCHLD");
    in->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (in->signal_fd < 0)
        return err_errno(err, "make a signalfd");
    if (conf->listener >= 0 && fd_set_nonblock(conf->listener, true) < 0)
        return err_errno(err, "make the listening socket non-blocking");
    init_log_open(&in->log, conf->log, conf->log_bytes, conf->log_rate);
    int failed = 0;
    in->blank = blank_new(conf->secrets, conf->n_secrets, &failed);
    in->c.secrets = NULL; /* in memory that goes */
    if (failed)
        return err_set(err, ENOMEM, "no memory to keep secrets out of the log");
    if (conf->control >= 0)
        peers_add(&in->peers, conf->control, PEER_CONTROL);
    *ret = in;
    return 0;
}

/* ---- the end */

static const char *reason_name(enum proto_exit_reason r)
{
    switch (r) {
    case EXIT_EXITED:
        return "exited";
    case EXIT_SIGNALED:
        return "signaled";
    case EXIT_STOPPED:
        return "stopped";
    case EXIT_LEASE:
        return "lease";
    case EXIT_EXEC_FAILED:
        return "exec_failed";
    case EXIT_NETWORK:
        return "network";
    }
    return "unknown";
}

static struct proto_init_exit last_word(const struct init *in)
{
    int st = in->program_status;
    struct proto_init_exit x = {.reason = EXIT_EXITED, .met = in->met.met};
    if (WIFSIGNALED(st)) {
        x.reason = EXIT_SIGNALED;
        x.signal = WTERMSIG(st);
    } else {
        x.status = WEXITSTATUS(st);
    }
    if (in->exec_error) {
        x.reason = EXIT_EXEC_FAILED;
        x.status = in->exec_error;
    } else if (in->stop_reason) {
        x.reason = in->stop_reason;
    }
    x.met |= limits_met_of_end(x.status, x.signal);
    return x;
}

static void tell_state(struct init *in)
{
    struct proto_init_state s = {
        .worker_id = in->c.worker_id, .state = in->phase, .met = in->met.met};
    peers_tell_control(&in->peers, PROTO_INIT_STATE, &s);
}

/* What is new of the limits that it ran into: a line in its log, and word to the runner. That lines
 * are dropped the log says by itself. */
static void tell_met(struct init *in)
{
    if (in->log.was_too_fast)
        in->met.met |= LIMIT_BIT(LIMIT_LOG_RATE);
    uint32_t fresh = in->met.met & ~in->met_told;
    if (!fresh)
        return;
    in->met_told = in->met.met;
    char text[400], note[420];
    limits_met_text(fresh & ~LIMIT_BIT(LIMIT_LOG_RATE), &in->met.limits, text, sizeof(text));
    snprintf(note, sizeof(note), "vitrine: %s", text);
    if (*text)
        init_log_note(&in->log, note);
    tell_state(in);
}

static void put_log(void *arg, const char *data, size_t len)
{
    init_log_write(arg, data, len);
}

static void pump_log(struct init *in)
{
    char chunk[65536];
    ssize_t n = read(in->c.log_rd, chunk, sizeof(chunk));
    if (n > 0) {
        if (in->blank)
            blank_write(in->blank, chunk, (size_t)n, put_log, &in->log);
        else
            init_log_write(&in->log, chunk, (size_t)n);
        init_met_output(&in->met, chunk, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_fd(&in->c.log_rd);
    }
}

static void read_report(struct init *in)
{
    struct program_report r;
    ssize_t n = read(in->c.report_fd, &r, sizeof(r));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == sizeof(r) && r.stage == PROGRAM_EXEC_FAILED) {
        in->exec_error = r.code;
        return;
    }
    close_fd(&in->c.report_fd);
    if (in->exec_error == 0 && in->phase == INIT_STARTING) {
        in->phase = INIT_RUNNING;
        tell_state(in);
    }
}

static _Noreturn void finish(struct init *in)
{
    init_met_look(&in->met, 0); /* what others hold open is gone with them */
    kill(-1, SIGKILL);          /* everybody but us */
    if (in->c.report_fd >= 0)
        read_report(in);
    for (unsigned drained = 0; in->c.log_rd >= 0 && drained < DRAIN_BYTES; drained += 65536) {
        struct pollfd p = {.fd = in->c.log_rd, .events = POLLIN};
        if (poll(&p, 1, 0) <= 0)
            break;
        pump_log(in);
    }
    if (in->blank)
        blank_flush(in->blank, put_log, &in->log);
    init_log_tick(&in->log, true);
    tell_met(in);

    struct proto_init_exit x = last_word(in);
    char text[320], names[240];
    limits_met_names(x.met, names, sizeof(names));
    int n = snprintf(text, sizeof(text), "%s %d %d%s%s\n",
                     reason_name((enum proto_exit_reason)x.reason), x.status, x.signal,
                     *names ? " " : "", names);
    if (in->c.exit_fd >= 0)
        (void)!pwrite(in->c.exit_fd, text, (size_t)n, 0);
    peers_tell_control(&in->peers, PROTO_INIT_EXIT, &x);
    if (in->exec_error)
        _exit(in->exec_error == ENOENT ? 127 : 126);
    _exit(WIFSIGNALED(in->program_status) ? 128 + WTERMSIG(in->program_status)
                                          : WEXITSTATUS(in->program_status));
}

/* Everybody whose parent has ended is our child. A program may make them end faster than we can
 * count, and others want to be served between. */
static void reap(struct init *in)
{
    struct signalfd_siginfo info;
    while (read(in->signal_fd, &info, sizeof(info)) == sizeof(info))
        ;
    int st, n = 0;
    pid_t pid;
    while (n < REAP_AT_ONCE && (pid = waitpid(-1, &st, WNOHANG)) > 0) {
        n++;
        if (pid == in->c.program) {
            in->program_gone = true;
            in->program_status = st;
        }
    }
    in->more_to_reap = n == REAP_AT_ONCE;
}

static void stop(struct init *in, enum proto_exit_reason reason, uint64_t grace_ms)
{
    uint64_t kill_ms = mono_ms() + grace_ms;
    if (kill_ms < in->kill_ms)
        in->kill_ms = kill_ms; /* a second request may only hasten */
    if (in->stop_reason)
        return;
    in->stop_reason = reason;
    in->phase = INIT_STOPPING;
    tell_state(in);
    if (grace_ms)
        kill(in->c.program, SIGTERM);
}

/* ---- those who are connected */

static bool serve_control(struct init *in, int i)
{
    switch (in->msg.type) {
    case PROTO_INIT_STOP:
        stop(in, EXIT_STOPPED, in->msg.u.init_stop.grace_ms);
        return true;
    case PROTO_INIT_LOOK:
        init_met_look(&in->met, 0);
        return true;
    case PROTO_INIT_STATS_ASK: {
        struct proto_init_stats s;
        init_stats_read(in->c.proc_fd, &s);
        return proto_send(in->peers.p[i].fd, PROTO_INIT_STATS, &s, NULL, 0, NULL) == 0;
    }
    default:
        return false;
    }
}

static bool serve_message(struct init *in, int i)
{
    enum peer_role role = in->peers.p[i].role;
    if (role == PEER_CONTROL)
        return serve_control(in, i);
    if (role == PEER_DIAL)
        return in->msg.type == PROTO_DIAL && peers_dial(&in->peers, i, in->msg.u.dial.count);
    if (in->msg.type != PROTO_HELLO || !peers_hello(&in->peers, i, in->msg.u.hello.role))
        return false;
    if (in->peers.p[i].role != PEER_CONTROL)
        return true;
    struct proto_init_state s = {
        .worker_id = in->c.worker_id, .state = in->phase, .met = in->met.met};
    return proto_send(in->peers.p[i].fd, PROTO_INIT_STATE, &s, NULL, 0, NULL) == 0;
}

/* One message of connection i; whoever leaves, breaks the rules or does not read is dropped. */
static void serve(struct init *in, int i)
{
    int r = proto_recv(in->peers.p[i].fd, &in->msg, 0, NULL);
    if (r == -EAGAIN)
        return;
    bool stay = r == 1 && serve_message(in, i);
    if (r == 1)
        proto_msg_done(&in->msg);
    /* telling control connections something may have dropped and moved some */
    if (!stay && i < in->peers.n)
        peers_drop(&in->peers, i);
}

/* ---- time */

/* What the relay says is of interest only when it is the last thing that it says. A worker that has
 * lost its way out is ended and started anew by whoever wants it: connections do not survive. */
static void hear_relay(struct init *in)
{
    char text[sizeof(in->relay_said)];
    ssize_t n =
        read(in->c.relay, text, sizeof(text) - 1); /* poll has said that there is something */
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        if (*text)
            memcpy(in->relay_said, text, sizeof(text));
        return;
    }
    close_fd(&in->c.relay);
    char note[320];
    snprintf(note, sizeof(note), "vitrine: the way to the internet has ended%s%s; stopping",
             in->relay_said[0] ? ": " : "", in->relay_said);
    init_log_note(&in->log, note);
    stop(in, EXIT_NETWORK, LEASE_GRACE_MS);
}

static void update_lease(struct init *in)
{
    if (peers_any_control(&in->peers) || in->c.lease_ms == NEVER || in->phase == INIT_STOPPING) {
        in->lease_end_ms = NEVER;
        return;
    }
    uint64_t now = mono_ms();
    if (in->lease_end_ms == NEVER)
        in->lease_end_ms = now + in->c.lease_ms;
    if (now >= in->lease_end_ms)
        stop(in, EXIT_LEASE, in->c.lease_ms ? LEASE_GRACE_MS : 0);
}

static void sooner(int *wait_ms, uint64_t deadline_ms)
{
    if (deadline_ms == NEVER)
        return;
    uint64_t now = mono_ms(), left = deadline_ms > now ? deadline_ms - now : 0;
    if (left > 60000)
        left = 60000;
    if (*wait_ms < 0 || left < (uint64_t)*wait_ms)
        *wait_ms = (int)left;
}

static int wait_ms(const struct init *in)
{
    if (in->more_to_reap)
        return 0;
    int ms = init_log_wait_ms(&in->log);
    sooner(&ms, in->lease_end_ms);
    sooner(&ms, in->kill_ms);
    for (int i = 0; i < in->peers.n; i++)
        if (in->peers.p[i].role == PEER_NEW)
            sooner(&ms, mono_ms() + 1000);
    return ms;
}

_Noreturn void init_run(struct init *in)
{
    enum { SIGNALS, REPORT, LOG, LISTENER, RELAY, FIRST_PEER };
    in->lease_end_ms = NEVER;
    reap(in); /* whoever ended before SIGCHLD was blocked */
    if (in->program_gone)
        finish(in);
    for (;;) {
        update_lease(in);
        if (in->kill_ms <= mono_ms()) {
            kill(-1, SIGKILL);
            in->kill_ms = NEVER;
        }
        int n_peers = in->peers.n;
        struct pollfd p[FIRST_PEER + PEERS_MAX] = {
            [SIGNALS] = {.fd = in->signal_fd, .events = POLLIN},
            [REPORT] = {.fd = in->c.report_fd, .events = POLLIN},
            [LOG] = {.fd = in->c.log_rd, .events = POLLIN},
            [LISTENER] = {.fd = in->c.listener, .events = POLLIN},
            [RELAY] = {.fd = in->c.relay, .events = POLLIN},
        };
        for (int i = 0; i < n_peers; i++)
            p[FIRST_PEER + i] = (struct pollfd){.fd = in->peers.p[i].fd, .events = POLLIN};
        if (poll(p, FIRST_PEER + (nfds_t)n_peers, wait_ms(in)) < 0 && errno != EINTR)
            _exit(125);

        if (p[REPORT].revents)
            read_report(in);
        if (p[LOG].revents)
            pump_log(in);
        /* last first: dropping one moves the last into its place */
        for (int i = n_peers - 1; i >= 0; i--)
            if (p[FIRST_PEER + i].revents && i < in->peers.n)
                serve(in, i);
        if (p[RELAY].revents)
            hear_relay(in);
        if (p[LISTENER].revents)
            peers_accept(&in->peers, in->c.listener);
        peers_expire(&in->peers);
        init_log_tick(&in->log, false);
        tell_met(in);
        if (p[SIGNALS].revents || in->more_to_reap)
            reap(in);
        if (in->program_gone)
            finish(in);
    }
}
