#include "runner/control.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/util.h"
#include "runner/commands.h"
#include "runner/gateway.h"
#include "runner/job.h"
#include "runner/life.h"
#include "runner/logs.h"
#include "runner/metrics.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <errno.h>
#include <stdio.h>

#define STATS_EACH_MS 1000
#define WATCH_MAX_S 3600

void control_changed(const struct space *s)
{
    struct proto_changed m = {.space_id = s->id,
                              .stage = lifecycle_stage(s->state),
                              .worker_id = s->cur ? s->cur->id : 0};
    link_send(&s->r->webui, PROTO_CHANGED, &m, NULL, 0);
}

void control_deleted(const struct space *s)
{
    struct proto_changed m = {.space_id = s->id, .stage = STAGE_NONE};
    metrics_deleted(s->r, s->id);
    link_send(&s->r->webui, PROTO_CHANGED, &m, NULL, 0);
}

void control_command_done(struct runner *r, uint64_t command_id, int code, const char *message)
{
    struct proto_command_done m = {.command_id = command_id, .code = (uint32_t)code};
    snprintf(m.message, sizeof(m.message), "%s", message);
    link_send(&r->webui, PROTO_COMMAND_DONE, &m, NULL, 0);
}

void control_worker_stats(struct worker *w, const struct worker_stats *stats)
{
    struct proto_worker_stat m = {.space_id = w->space->id,
                                  .worker_id = w->id,
                                  .memory_bytes = stats->memory_bytes,
                                  .memory_limit_bytes = w->limits.v[LIMIT_MEMORY],
                                  .cpu_us = stats->cpu_us,
                                  .pids = stats->pids,
                                  .requests = w->requests,
                                  .refs = w->refs,
                                  .bytes_in = w->bytes_in,
                                  .bytes_out = w->bytes_out};
    link_send(&w->r->webui, PROTO_WORKER_STAT, &m, NULL, 0);
}

static void on_watch_timer(void *arg)
{
    struct runner *r = arg;
    if (mono_ms() >= r->watch_until_ms || !link_is_open(&r->webui))
        return;
    for (struct worker *w = r->workers; w; w = w->next) {
        if (w->space)
            worker_ask_stats(w);
    }
    loop_timer_set(r->loop, &r->watch_timer, STATS_EACH_MS);
}

static void on_watch(struct runner *r, uint32_t seconds)
{
    r->watch_until_ms = mono_ms() + 1000ull * (seconds < WATCH_MAX_S ? seconds : WATCH_MAX_S);
    r->watch_timer.fn = on_watch_timer;
    r->watch_timer.arg = r;
    if (!loop_timer_is_set(&r->watch_timer))
        on_watch_timer(r);
}

static void on_log_open(struct runner *r, const struct proto_log_open *m)
{
    struct proto_log_files out = {.request_id = m->request_id, .worker_id = m->worker_id};
    int fds[2] = {-1, -1};
    struct err err = {0};
    int n;
    if (m->kind == LOG_KIND_BUILD) {
        n = fds[0] = logs_open_build(r, m->space_id, &err);
        out.count = n >= 0;
    } else {
        if (!out.worker_id)
            out.worker_id = life_newest_worker(r, m->space_id);
        n = out.worker_id ? logs_open_run(r, m->space_id, out.worker_id, fds, &out.current, &err)
                          : -ENOENT;
        out.count = n >= 0 ? 2 : 0;
    }
    if (n < 0 && n != -ENOENT) { /* none yet is no failure */
        out.code = (uint32_t)-n;
        snprintf(out.message, sizeof(out.message), "the log cannot be read");
        log_warn(NULL, "log.open", "%s", err.msg);
    }
    link_send(&r->webui, PROTO_LOG_FILES, &out, fds, (int)out.count);
    close_fd(&fds[0]);
    close_fd(&fds[1]);
}

static void on_metrics_ask(struct runner *r, uint64_t request_id)
{
    struct proto_metrics m = {.request_id = request_id};
    struct err err = {0};
    _cleanup_close_ int fd = metrics_text(r, &err);
    if (fd < 0) {
        m.code = (uint32_t)-fd;
        snprintf(m.message, sizeof(m.message), "the counters cannot be had just now");
        log_warn(NULL, "metrics", "%s", err.msg);
    }
    link_send(&r->webui, PROTO_METRICS, &m, fd >= 0 ? &fd : NULL, fd >= 0);
}

static void on_msg(void *arg, struct proto_msg *m)
{
    struct runner *r = arg;
    switch (m->type) {
    case PROTO_COMMAND_NUDGE:
        commands_poll(r);
        break;
    case PROTO_JOB:
        job_begin(r, m);
        break;
    case PROTO_TOKEN_ANSWER:
        gateway_token_answer(r, &m->u.token_answer);
        break;
    case PROTO_METRICS_ASK:
        on_metrics_ask(r, m->u.metrics_ask.request_id);
        break;
    case PROTO_LOG_OPEN:
        on_log_open(r, &m->u.log_open);
        break;
    case PROTO_WATCH:
        on_watch(r, m->u.watch.seconds);
        break;
    default:
        log_warn(NULL, "webui.message", "unexpected %s", proto_type_name(m->type));
    }
}

static void on_gone(void *arg, const char *why)
{
    (void)arg;
    log_info(NULL, "webui.gone", "%s", why);
}

void control_connect(struct runner *r, int fd)
{
    r->webui.on_msg = on_msg;
    r->webui.on_gone = on_gone;
    r->webui.arg = r;
    struct err err = {0};
    if (link_open(&r->webui, r->loop, fd, &err) < 0)
        log_error(NULL, "webui.link", "%s", err.msg);
    commands_poll(r);
}
