#include "webui/link.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "webui/hub.h"
#include "webui/life.h"
#include "webui/link_own.h"
#include "webui/site.h"
#include "webui/stats.h"
#include "webui/timedwait.h"
#include "webui/visits.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define LOG_OPEN_MS 5000
#define LOOK_UP_MS 1000
#define WATCH_SECONDS 5
#define WATCH_EVERY_MS 2000

/* ---- sending; the lock is held, so nothing here waits: what finds no room is sent by the thread
 * when there is some ----------------------------------------------------------------------------
 */

static void wait_for_room(struct link *l)
{
    if (l->blocked)
        return;
    l->blocked = true;
    (void)eventfd_write(l->wake_fd, 1);
}

static void send_ask(struct link *l, struct ask *a)
{
    if (l->peer < 0 || !a->body)
        return;
    struct err err;
    int r = proto_send(l->peer, a->type, a->body, &a->fd, a->fd >= 0 ? 1 : 0, &err);
    a->unsent = r == -EAGAIN;
    if (a->unsent)
        wait_for_room(l);
    else if (r < 0)
        log_warn(NULL, "runner.send", "%s: %s", proto_type_name(a->type), err.msg);
}

static void nudge(struct link *l)
{
    if (l->peer < 0)
        return;
    l->nudge_unsent = proto_send(l->peer, PROTO_COMMAND_NUDGE, NULL, NULL, 0, NULL) == -EAGAIN;
    if (l->nudge_unsent)
        wait_for_room(l);
}

/* There is room. */
static void send_rest(struct link *l)
{
    pthread_mutex_lock(&l->lock);
    l->blocked = false;
    if (l->nudge_unsent)
        nudge(l);
    for (struct ask *a = l->asks; a && !l->blocked; a = a->next)
        if (a->unsent && !a->answered)
            send_ask(l, a);
    pthread_mutex_unlock(&l->lock);
}

void link_ask_begin(struct link *l, struct ask *a)
{
    a->fds[0] = a->fds[1] = a->stream = -1;
    pthread_mutex_lock(&l->lock);
    a->next = l->asks;
    l->asks = a;
    send_ask(l, a);
    pthread_mutex_unlock(&l->lock);
}

void link_ask_end(struct link *l, struct ask *a)
{
    pthread_mutex_lock(&l->lock);
    struct ask **p = &l->asks;
    while (*p != a)
        p = &(*p)->next;
    *p = a->next;
    pthread_mutex_unlock(&l->lock);
}

int link_ask_wait(struct link *l, struct ask *a, bool stream, unsigned timeout_ms, struct err *err)
{
    struct timespec end = timedwait_end(timeout_ms);
    pthread_mutex_lock(&l->lock);
    int late = 0;
    while (!a->answered && !(stream && a->streamed) && !l->stop && late == 0)
        late = pthread_cond_timedwait(&l->answer, &l->lock, &end);
    bool stopped = l->stop, no_peer = l->peer < 0, there = a->answered || (stream && a->streamed);
    pthread_mutex_unlock(&l->lock);
    if (there)
        return 0;
    if (stopped)
        return err_set(err, ECANCELED, "the site is being restarted: try again");
    return err_set(err, ETIMEDOUT, "%s",
                   no_peer ? "the part that runs Spaces is not there at the moment: try again later"
                           : "it takes longer than expected: look at the Space's page later");
}

static int ask_and_wait(struct link *l, struct ask *a, unsigned timeout_ms, struct err *err)
{
    link_ask_begin(l, a);
    int r = link_ask_wait(l, a, false, timeout_ms, err);
    link_ask_end(l, a);
    return r;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void answer(struct link *l, enum proto_type type, uint64_t id, int code, const char *message,
                   struct proto_msg *m)
{
    pthread_mutex_lock(&l->lock);
    struct ask *a = l->asks;
    while (a && (a->type != type || a->id != id || a->answered))
        a = a->next;
    if (a) {
        a->answered = true;
        a->code = code;
        snprintf(a->message, sizeof a->message, "%s", message);
        for (int i = 0; m && i < m->n_fds && i < 2; i++)
            a->fds[a->n_fds++] = steal_fd(&m->fds[i]);
        if (type == PROTO_LOG_OPEN && m) {
            a->current = m->u.log_files.current;
            a->worker_id = m->u.log_files.worker_id;
        }
        pthread_cond_broadcast(&l->answer);
    }
    pthread_mutex_unlock(&l->lock);
}

/* Who asks for a private Space waits for this: the gateway, by way of the runner. */
static void answer_token(struct link *l, struct proto_token_ask *m)
{
    struct proto_token_answer a = {.ask_id = m->ask_id, .allowed = visits_may(l->app, m)};
    explicit_bzero(m->token, sizeof m->token);
    pthread_mutex_lock(&l->lock);
    if (l->peer >= 0) /* without room it is asked again */
        (void)proto_send(l->peer, PROTO_TOKEN_ANSWER, &a, NULL, 0, NULL);
    pthread_mutex_unlock(&l->lock);
}

static void take_stream(struct link *l, uint64_t job_id, struct proto_msg *m)
{
    pthread_mutex_lock(&l->lock);
    struct ask *a = l->asks;
    while (a && (a->type != PROTO_JOB || a->id != job_id || a->answered || a->streamed))
        a = a->next;
    if (a && m->n_fds > 0) {
        a->streamed = true;
        a->stream = steal_fd(&m->fds[0]);
        pthread_cond_broadcast(&l->answer);
    }
    pthread_mutex_unlock(&l->lock);
}

static void receive(struct link *l, struct proto_msg *m)
{
    switch (m->type) {
    case PROTO_COMMAND_DONE:
        answer(l, PROTO_COMMAND_NUDGE, m->u.command_done.command_id, (int)m->u.command_done.code,
               m->u.command_done.message, NULL);
        break;
    case PROTO_JOB_STREAM:
        take_stream(l, m->u.job_stream.job_id, m);
        break;
    case PROTO_JOB_RESULT:
        answer(l, PROTO_JOB, m->u.job_result.job_id, (int)m->u.job_result.code,
               m->u.job_result.message, m);
        break;
    case PROTO_LOG_FILES:
        answer(l, PROTO_LOG_OPEN, m->u.log_files.request_id, (int)m->u.log_files.code,
               m->u.log_files.message, m);
        break;
    case PROTO_METRICS:
        answer(l, PROTO_METRICS_ASK, m->u.metrics.request_id, (int)m->u.metrics.code,
               m->u.metrics.message, m);
        break;
    case PROTO_TOKEN_ASK:
        answer_token(l, &m->u.token_ask);
        break;
    case PROTO_CHANGED:
        hub_publish(l->app->hub, (int64_t)m->u.changed.space_id);
        break;
    case PROTO_WORKER_STAT:
        stats_add(l->app->stats, &m->u.worker_stat);
        break;
    case PROTO_JOB_PROGRESS:
        break; /* steps of a job are only logged by the runner */
    default:
        log_warn(NULL, "runner.message", "unexpected %s", proto_type_name(m->type));
    }
    proto_msg_done(m);
}

/* Commands that were done while nobody told us. */
static void look_up_commands(struct link *l)
{
    uint64_t ids[64];
    size_t n = 0;
    pthread_mutex_lock(&l->lock);
    for (struct ask *a = l->asks; a && n < 64; a = a->next)
        if (a->type == PROTO_COMMAND_NUDGE && !a->answered)
            ids[n++] = a->id;
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < n; i++) {
        int code;
        char message[1024];
        if (life_command_done(l->app->life, (int64_t)ids[i], &code, message) == 1)
            answer(l, PROTO_COMMAND_NUDGE, ids[i], code, message, NULL);
    }
}

/* Takes a new runner, which is told of everything that is open. False where the thread is to end.
 * `*ret_blocked`: room in its socket is awaited. */
static bool take_peer(struct link *l, bool *ret_blocked)
{
    pthread_mutex_lock(&l->lock);
    bool fresh = l->new_peer >= 0;
    if (fresh) {
        close_fd(&l->peer);
        l->peer = steal_fd(&l->new_peer);
        l->blocked = l->nudge_unsent = false;
        nudge(l);
        for (struct ask *a = l->asks; a; a = a->next) {
            if (a->answered)
                continue;
            if (a->streamed) { /* half of it is with the visitor: it cannot be had again */
                a->answered = true;
                a->code = ECANCELED;
                snprintf(a->message, sizeof a->message,
                         "the part that runs Spaces was restarted: try again");
                pthread_cond_broadcast(&l->answer);
            } else {
                send_ask(l, a);
            }
        }
        l->watched_ms = 0;
    }
    bool go_on = !l->stop;
    *ret_blocked = l->blocked;
    pthread_mutex_unlock(&l->lock);
    if (fresh) {
        look_up_commands(l);
        hub_publish(l->app->hub, 0);
    }
    return go_on;
}

static void lose_peer(struct link *l, const char *why)
{
    log_info(NULL, "runner.gone", "%s", why);
    pthread_mutex_lock(&l->lock);
    close_fd(&l->peer);
    pthread_mutex_unlock(&l->lock);
}

static void *run(void *arg)
{
    struct link *l = arg;
    _cleanup_free_ struct proto_msg *m = calloc(1, sizeof *m);
    if (!m) {
        log_error(NULL, "runner.link", "out of memory");
        return NULL;
    }
    bool blocked;
    uint64_t looked_ms = 0;
    while (take_peer(l, &blocked)) {
        /* Only this thread changes l->peer, so it may look at it without the lock. */
        struct pollfd p[2] = {{l->wake_fd, POLLIN, 0},
                              {l->peer, (short)(POLLIN | (blocked ? POLLOUT : 0)), 0}};
        (void)poll(p, 2, LOOK_UP_MS);
        /* by the clock: with an admin's page open there is always something to receive */
        if (mono_ms() - looked_ms >= LOOK_UP_MS) {
            look_up_commands(l);
            looked_ms = mono_ms();
        }
        if (p[0].revents) {
            eventfd_t n;
            (void)eventfd_read(l->wake_fd, &n);
            continue;
        }
        if (p[1].revents & POLLOUT)
            send_rest(l);
        if (!(p[1].revents & ~POLLOUT))
            continue;
        struct err err = {0};
        int r = proto_recv(l->peer, m, 0, &err);
        if (r == 1)
            receive(l, m);
        else if (r != -EAGAIN)
            lose_peer(l, r == 0 ? "its socket was closed" : err.msg);
    }
    return NULL;
}

/* ---- the outside ---------------------------------------------------------------------------- */

int link_start(struct link **ret, struct app *app, struct err *err)
{
    _cleanup_free_ struct link *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(err, ENOMEM, "out of memory");
    l->app = app;
    l->peer = l->new_peer = -1;
    l->next_id = now_ms() << 16; /* ids of an earlier process are never used again */
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0)
        return err_errno(err, "eventfd");
    timedwait_init(&l->answer);
    pthread_mutex_init(&l->lock, NULL);
    int r = pthread_create(&l->thread, NULL, run, l);
    if (r != 0)
        return err_set(err, r, "cannot start a thread: %s", strerror(r));
    *ret = steal_ptr(l);
    return 0;
}

void link_stop(struct link *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->answer);
    pthread_mutex_unlock(&l->lock);
    (void)eventfd_write(l->wake_fd, 1);
}

void link_free(struct link *l)
{
    if (!l)
        return;
    pthread_join(l->thread, NULL);
    close_fd(&l->peer);
    close_fd(&l->new_peer);
    close(l->wake_fd);
    pthread_cond_destroy(&l->answer);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void link_set_peer(struct link *l, int fd)
{
    pthread_mutex_lock(&l->lock);
    close_fd(&l->new_peer);
    l->new_peer = fd;
    pthread_mutex_unlock(&l->lock);
    (void)eventfd_write(l->wake_fd, 1);
}

void link_nudge(struct link *l)
{
    pthread_mutex_lock(&l->lock);
    nudge(l);
    pthread_mutex_unlock(&l->lock);
}

int link_command_wait(struct link *l, int64_t command_id, unsigned timeout_ms, struct err *err)
{
    struct ask a = {.type = PROTO_COMMAND_NUDGE, .id = (uint64_t)command_id, .fd = -1};
    /* It may have been done between the nudge and this. */
    char message[1024];
    int code;
    if (life_command_done(l->app->life, command_id, &code, message) == 1)
        return code ? err_set(err, code, "%s", message) : 0;
    int r = ask_and_wait(l, &a, timeout_ms, err);
    if (r < 0)
        return r;
    return a.code ? err_set(err, a.code, "%s", a.message) : 0;
}

uint64_t link_new_id(struct link *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t id = ++l->next_id;
    pthread_mutex_unlock(&l->lock);
    return id;
}

int link_log_open(struct link *l, int64_t space_id, enum proto_log_kind kind, struct link_log *ret,
                  struct err *err)
{
    struct proto_log_open body = {
        .request_id = link_new_id(l), .space_id = (uint64_t)space_id, .kind = (uint32_t)kind};
    struct ask a = {.type = PROTO_LOG_OPEN, .id = body.request_id, .body = &body, .fd = -1};
    int r = ask_and_wait(l, &a, LOG_OPEN_MS, err);
    if (r == 0 && a.code)
        r = err_set(err, a.code, "%s", a.message);
    if (r < 0) {
        close_fd(&a.fds[0]);
        close_fd(&a.fds[1]);
        return r;
    }
    *ret = (struct link_log){.fds = {a.fds[0], a.fds[1]},
                             .count = a.n_fds,
                             .current = a.current < a.n_fds ? a.current : 0,
                             .worker_id = a.worker_id};
    return 0;
}

int link_metrics(struct link *l, struct err *err)
{
    struct proto_metrics_ask body = {.request_id = link_new_id(l)};
    struct ask a = {.type = PROTO_METRICS_ASK, .id = body.request_id, .body = &body, .fd = -1};
    int r = ask_and_wait(l, &a, LOG_OPEN_MS, err);
    if (r == 0 && (a.code || a.n_fds == 0))
        r = err_set(err, a.code ? a.code : EPROTO, "%s", a.message);
    if (r == 0)
        r = steal_fd(&a.fds[0]);
    close_fd(&a.fds[0]);
    close_fd(&a.fds[1]);
    return r;
}

void link_watch(struct link *l)
{
    struct proto_watch watch = {.seconds = WATCH_SECONDS};
    pthread_mutex_lock(&l->lock);
    if (l->peer >= 0 && (!l->watched_ms || mono_ms() - l->watched_ms > WATCH_EVERY_MS)) {
        if (proto_send(l->peer, PROTO_WATCH, &watch, NULL, 0, NULL) == 0)
            l->watched_ms = mono_ms();
    }
    pthread_mutex_unlock(&l->lock);
}
