/* One loop over poll(2): signals (signalfd), the programs' sockets, the gateways' way to the site,
 * the operator's questions.
 *
 * The end is a sequence of phases. The runner goes first, as only it can stop workers in order; if
 * it dies before it is done it is started again, which adopts what is left and stops that. Then
 * gateway and webui. What then still is a child of ours (a sandbox whose starter was killed: we are
 * the subreaper) is killed and reaped. A second signal hurries the runner, a third one kills. */
#include "supervise_own.h"

#include "accesslog.h"
#include "children.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "publics.h"
#include "sitedial.h"
#include "tlskeep.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define QUICK_DEATH_MS 1000 /* one who dies sooner after its start is slowed down */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
#define HOPELESS_DEATHS 6 /* quick ones in a row, before the site has answered once */
#define READY_WAIT_MS                                                                              \
    2000 /* a runner that was started in order to stop gets its SIGTERM by then                    \
          */
#define RUNNER_STOP_EXTRA_MS 4000 /* beyond the workers' grace */
#define RUNNER_STOP_RESTARTS 3
#define REST_STOP_MS 2000
#define ORPHANS_WAIT_MS 1000
#define ORPHANS_GIVE_UP_MS 5000

static void start_again(struct supervisor *v, int i)
{
    struct err err = {0};
    if (program_start(v, i, &err) < 0) {
        log_error(NULL, "up.start_failed", "%s", err.msg);
        v->programs[i].start_at_ms = mono_ms() + BACKOFF_MAX_MS;
    }
}

static int start_opening(struct supervisor *v, struct err *err)
{
    pid_t parent = getpid();
    v->opening_pid = fork();
    if (v->opening_pid < 0)
        return err_errno(err, "cannot start a process");
    if (v->opening_pid > 0)
        return 0;
    /* It owns nothing that must be put in order, so it may be killed with us at any moment. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    close_range(3, ~0U, 0);
    sigprocmask(SIG_SETMASK, &v->old_mask, NULL);
    signal(SIGINT, SIG_IGN); /* the terminal's Ctrl-C comes here too; `up` decides */
    int status = v->s->opening(v->s->opening_arg);
    fflush(stdout);
    _exit(status);
}

/* ---- the end ---- */

static void enter_phase(struct supervisor *v, enum phase phase, uint64_t wait_ms)
{
    v->phase = phase;
    v->phase_deadline_ms = mono_ms() + wait_ms;
}

static void begin_orphans(struct supervisor *v)
{
    enter_phase(v, PHASE_ORPHANS, ORPHANS_WAIT_MS);
}

static void begin_stop_rest(struct supervisor *v)
{
    enter_phase(v, PHASE_STOP_REST, REST_STOP_MS);
    for (int i = 0; i < N_PLACES; i++)
        if (i != RUNNER)
            program_terminate(v, i);
    if (!gateways_any(v) && !v->programs[WEBUI].pid)
        begin_orphans(v);
}

static void begin_stop(struct supervisor *v)
{
    if (v->opening_pid)
        kill(v->opening_pid, SIGKILL);
    upsock_tell(v, ESHUTDOWN, "the system is being stopped");
    uint64_t grace = v->s->conf->lifecycle_stop_grace;
    enter_phase(v, PHASE_STOP_RUNNER, grace + RUNNER_STOP_EXTRA_MS);
    if (!v->programs[RUNNER].pid)
        start_again(v, RUNNER);
    else if (v->programs[RUNNER].ready)
        program_terminate(v, RUNNER);
}

/* The first one asks, the second one hurries, the third one kills. */
static void on_end_signal(struct supervisor *v, int sig)
{
    v->signals++;
    log_info(NULL, "up.stopping", "%s: %s", strsignal(sig),
             v->signals == 1   ? "stopping everything"
             : v->signals == 2 ? "hurrying"
                               : "killing what is left");
    if (v->signals == 1 && v->phase == PHASE_RUN)
        begin_stop(v);
    else if (v->signals == 2 && v->phase == PHASE_STOP_RUNNER && v->programs[RUNNER].pid)
        kill(v->programs[RUNNER].pid, SIGTERM);
    else
        v->phase_deadline_ms = mono_ms();
}

static void fail(struct supervisor *v, int code, const char *text)
{
    if (v->result == 0)
        v->result = err_set(v->err, code, "%s", text);
    if (v->phase == PHASE_RUN)
        begin_stop(v);
}

/* A phase's time is over. */
static void on_deadline(struct supervisor *v)
{
    switch (v->phase) {
    case PHASE_STOP_RUNNER:
        log_warn(NULL, "up.stop_late", "the runner did not end in time and is killed");
        if (v->programs[RUNNER].pid)
            kill(v->programs[RUNNER].pid, SIGKILL);
        v->runner_stop_restarts = RUNNER_STOP_RESTARTS;
        begin_stop_rest(v);
        break;
    case PHASE_STOP_REST:
        for (int i = 0; i < N_PLACES; i++)
            if (v->programs[i].pid)
                kill(v->programs[i].pid, SIGKILL);
        enter_phase(v, PHASE_STOP_REST, REST_STOP_MS);
        break;
    case PHASE_ORPHANS:
        if (mono_ms() > v->phase_deadline_ms + ORPHANS_GIVE_UP_MS) {
            v->result = err_set(v->err, EBUSY, "some processes could not be ended");
            v->phase = PHASE_DONE;
        } else {
            children_kill();
        }
        break;
    case PHASE_RUN:
    case PHASE_DONE:
        break;
    }
}

/* ---- what happens ---- */

static void on_program_end(struct supervisor *v, int i, int status)
{
    struct program *p = &v->programs[i];
    uint64_t now = mono_ms();
    bool quick = now - p->started_ms < QUICK_DEATH_MS;
    bool in_order = WIFEXITED(status) && WEXITSTATUS(status) == 0 && (p->term_sent || i >= LEAVING);
    char how[80];
    if (WIFSIGNALED(status))
        snprintf(how, sizeof(how), "was killed by signal %d", WTERMSIG(status));
    else
        snprintf(how, sizeof(how), "has ended with status %d", WEXITSTATUS(status));
    if (in_order)
        log_info(NULL, "up.ended", "%s has ended", program_name(i));
    else if (bounds_ran_out(v->bounds, program_role(i), p->group))
        log_error(NULL, "up.memory",
                  "%s ran out of its memory ([sandbox] services_memory) and was killed",
                  program_name(i));
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        log_error(NULL, "up.filter",
                  "%s made a system call that it never needs, and was killed for it: a fault of "
                  "ours, or somebody has taken it over; the kernel's log names the call",
                  program_name(i));
    else
        log_warn(NULL, "up.died", "%s %s", program_name(i), how);
    p->pid = 0;
    close_fd(&p->sup_fd);
    program_close_site_dials(p);
    if (i >= COMING) {
        gateways_ended(v, i, how);
        if (v->phase == PHASE_STOP_REST && !gateways_any(v) && !v->programs[WEBUI].pid &&
            !v->programs[RUNNER].pid)
            begin_orphans(v);
        return;
    }
    p->quick_deaths = quick ? p->quick_deaths + 1 : 0;
    uint64_t delay = 0;
    if (p->quick_deaths > 1)
        delay = p->quick_deaths > 8 ? BACKOFF_MAX_MS : BACKOFF_FIRST_MS << (p->quick_deaths - 2);
    p->start_at_ms = now + (delay < BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS);

    if (v->phase == PHASE_RUN && v->opening_pid && p->quick_deaths >= HOPELESS_DEATHS) {
        char text[200];
        snprintf(text, sizeof(text), "%s does not start; its own messages above say why",
                 program_name(i));
        fail(v, EIO, text);
    } else if (v->phase == PHASE_STOP_RUNNER && i == RUNNER) {
        if (in_order) {
            begin_stop_rest(v);
        } else if (v->runner_stop_restarts++ < RUNNER_STOP_RESTARTS) {
            start_again(v, RUNNER);
        } else {
            log_error(NULL, "up.stop_failed", "the runner could not stop the workers in order");
            begin_stop_rest(v);
        }
    } else if (v->phase == PHASE_STOP_REST && !gateways_any(v) && !v->programs[WEBUI].pid &&
               !v->programs[RUNNER].pid) {
        begin_orphans(v);
    }
}

static void reap(struct supervisor *v)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == v->opening_pid) {
            v->opening_pid = 0;
            if (v->phase == PHASE_RUN && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
                fail(v, EIO, "the system did not come up");
            continue;
        }
        for (int i = 0; i < N_PLACES; i++)
            if (v->programs[i].pid == pid) {
                on_program_end(v, i, status);
                break;
            }
    }
    if (pid < 0 && errno == ECHILD && v->phase == PHASE_ORPHANS)
        v->phase = PHASE_DONE;
}

static void on_signals(struct supervisor *v)
{
    struct signalfd_siginfo si;
    bool child = false;
    while (read(v->signal_fd, &si, sizeof(si)) == sizeof(si)) {
        if (si.ssi_signo == SIGCHLD)
            child = true;
        else if (si.ssi_signo == SIGHUP && si.ssi_code != SI_KERNEL && v->s->tls &&
                 v->phase == PHASE_RUN) /* by the kernel: the terminal is gone */
            tlskeep_reload(v->s->tls);
        else
            on_end_signal(v, (int)si.ssi_signo);
    }
    if (child)
        reap(v);
}

static void on_program_message(struct supervisor *v, int i)
{
    struct program *p = &v->programs[i];
    struct err err = {0};
    int r = proto_recv(p->sup_fd, &v->msg, 0, &err);
    if (r == -EAGAIN)
        return;
    if (r <= 0) {
        /* Its end is told by SIGCHLD; one that speaks nonsense is ended. */
        if (r < 0 && p->pid)
            kill(p->pid, SIGKILL);
        close_fd(&p->sup_fd);
        return;
    }
    if (v->msg.type == PROTO_SUP_READY && !p->ready) {
        p->ready = true;
        log_info(NULL, "up.ready", "%s is ready", program_name(i));
        if (v->phase == PHASE_STOP_RUNNER && i == RUNNER)
            program_terminate(v, RUNNER);
        if (i == COMING)
            gateways_ready(v); /* what is in this place now is another, or none */
    } else if (v->msg.type == PROTO_SUP_LOAD && i >= LEAVING) {
        p->connections = v->msg.u.sup_load.connections;
    }
    if (v->msg.type == PROTO_SUP_CHALLENGE_ASK && program_kind(i) == GATEWAY) {
        struct proto_sup_challenge answer;
        tlskeep_challenge(v->s->conf, &v->msg.u.sup_challenge_ask, &answer);
        (void)proto_send(p->sup_fd, PROTO_SUP_CHALLENGE, &answer, NULL, 0, NULL);
    }
    proto_msg_done(&v->msg);
}

static void on_site_dial(struct supervisor *v, int i, unsigned loop)
{
    struct program *p = &v->programs[i];
    struct err err = {0};
    int r = sitedial_serve(p->site_dials[loop], v->s->run_fd, &v->msg, &err);
    if (r == 0)
        return;
    close_fd(&p->site_dials[loop]);
    /* Closed by the gateway: it is ending, and its successor gets a new one. */
    if (r == -EPIPE || r == -ECONNRESET || p->sup_fd < 0)
        return;
    log_warn(NULL, "up.site_dial", "%s", err.msg);
    if (program_site_dial(v, i, &err) < 0) {
        program_close_site_dials(p);
        log_warn(NULL, "up.site_dial", "%s", err.msg);
    }
}

/* The access log's file was moved away: the gateways get the new one. */
static void look_at_access_log(struct supervisor *v, uint64_t now)
{
    struct err err = {0};
    if (!accesslog_look(v->s->access, now))
        return;
    for (int i = 0; i < N_PLACES; i++)
        if (program_kind(i) == GATEWAY && v->programs[i].sup_fd >= 0 && program_log(v, i, &err) < 0)
            log_warn(NULL, "up.access_log", "%s", err.msg);
}

static void hand_over_certificates(struct supervisor *v)
{
    struct err err = {0};
    for (int i = 0; i < N_PLACES; i++)
        if (program_kind(i) == GATEWAY && v->programs[i].sup_fd >= 0 &&
            program_certificates(v, i, &err) < 0)
            log_warn(NULL, "up.certificates", "%s", err.msg);
}

/* What is due by the clock; the time until something is due again, in ms for poll. */
static int on_clock(struct supervisor *v)
{
    uint64_t now = mono_ms(), next = UINT64_MAX;
    look_at_access_log(v, now);
    next = v->s->access->look_ms;
    for (int i = 0; i < N_PROGRAMS && v->phase == PHASE_RUN; i++) {
        struct program *p = &v->programs[i];
        if (i == GATEWAY && v->programs[COMING].pid)
            continue; /* it comes to this place */
        if (!p->pid && p->start_at_ms <= now)
            start_again(v, i);
        if (!p->pid && p->start_at_ms < next)
            next = p->start_at_ms;
    }
    uint64_t look_ms = UINT64_MAX;
    if (v->s->tls && v->phase == PHASE_RUN && tlskeep_look(v->s->tls, now, &look_ms))
        hand_over_certificates(v);
    next = look_ms < next ? look_ms : next;
    gateways_clock(v, now, &next);
    struct program *runner = &v->programs[RUNNER];
    if (v->phase == PHASE_STOP_RUNNER && runner->pid && !runner->term_sent) {
        uint64_t term_at = runner->started_ms + READY_WAIT_MS;
        if (term_at <= now)
            program_terminate(v, RUNNER);
        else
            next = term_at;
    }
    if (v->phase != PHASE_RUN && v->phase != PHASE_DONE) {
        if (v->phase_deadline_ms <= now)
            on_deadline(v);
        /* Orphans have children of their own: look again soon. */
        uint64_t due = v->phase_deadline_ms > now ? v->phase_deadline_ms : now + 20;
        next = due < next ? due : next;
    }
    return next == UINT64_MAX   ? -1
           : next <= now        ? 0
           : next - now > 60000 ? 60000
                                : (int)(next - now);
}

static void loop(struct supervisor *v)
{
    while (v->phase != PHASE_DONE) {
        reap(v);
        int timeout_ms = on_clock(v);
        if (v->phase == PHASE_DONE)
            break;
        struct pollfd p[1 + N_PLACES * (1 + CONF_THREADS_MAX) + UPSOCK_POLLED] = {
            {.fd = v->signal_fd, .events = POLLIN},
        };
        struct pollfd *sup = p + 1, *site = sup + N_PLACES, *asked = site + N_PLACES * v->loops;
        for (unsigned i = 0; i < N_PLACES; i++) {
            struct program *of = &v->programs[i];
            sup[i] = (struct pollfd){.fd = of->sup_fd, .events = POLLIN};
            for (unsigned k = 0; k < v->loops; k++)
                site[i * v->loops + k] = (struct pollfd){.fd = of->site_dials[k], .events = POLLIN};
        }
        int n_asked = upsock_poll(v->upsock, asked);
        if (poll(p, (nfds_t)(asked - p + n_asked), timeout_ms) <= 0)
            continue;
        /* Messages first: what a program said before it ended is heard. A gateway changes its place
         * with a message: then the events of the others wait for the next round. */
        for (int i = 0; i < N_PLACES; i++) {
            const struct pollfd *of = site + (unsigned)i * v->loops;
            for (unsigned k = 0; k < v->loops; k++)
                if (of[k].revents && of[k].fd == v->programs[i].site_dials[k])
                    on_site_dial(v, i, k);
            if (sup[i].revents && sup[i].fd == v->programs[i].sup_fd)
                on_program_message(v, i);
        }
        upsock_events(v, asked, n_asked);
        if (p[0].revents)
            on_signals(v);
    }
}

static int block_signals(struct supervisor *v, struct err *err)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &mask, &v->old_mask);
    v->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    return v->signal_fd < 0 ? err_errno(err, "signalfd") : 0;
}

int supervise_run(const struct supervise *s, struct err *err)
{
    struct supervisor *v = calloc(1, sizeof(*v));
    if (!v)
        return err_set(err, ENOMEM, "out of memory");
    v->s = s;
    v->err = err;
    v->signal_fd = -1;
    for (int i = 0; i < N_PLACES; i++)
        program_clear(&v->programs[i]);
    v->loops = conf_threads(s->conf->gateway_threads);
    v->bounds = bounds_open(s->conf);
    int r = block_signals(v, err);
    if (r == 0) {
        v->upsock = upsock_open(s->conf->server_data);
        for (int i = 0; i < N_PROGRAMS; i++)
            start_again(v, i);
        r = start_opening(v, err);
        if (r < 0)
            fail(v, -r, err->msg);
        loop(v);
        r = v->result;
    }
    for (int i = 0; i < N_PLACES; i++) {
        close_fd(&v->programs[i].sup_fd);
        program_close_site_dials(&v->programs[i]);
    }
    upsock_close(v->upsock);
    close_fd(&v->signal_fd);
    bounds_close(v->bounds);
    free(v);
    return r;
}
