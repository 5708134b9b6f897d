/* A Space's workers from the start to the end: begun, probed until they answer, and what becomes of
 * the Space when one fails or ends. What is to be done when is space.c's. */
#include "runner/space_start.h"

#include "common/conf.h"
#include "common/limits_met.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/build.h"
#include "runner/commands.h"
#include "runner/control.h"
#include "runner/environment.h"
#include "runner/events.h"
#include "runner/gateway.h"
#include "runner/gpus.h"
#include "runner/idle.h"
#include "runner/life.h"
#include "runner/probe.h"
#include "runner/public.h"
#include "runner/recipe.h"
#include "runner/runner.h"
#include "runner/volume.h"
#include "runner/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAST_LINES 12

static void on_worker_end(struct worker *w, const struct worker_end *end);

static struct backoff_rules rules_of(const struct space *s)
{
    const struct conf *c = conf_of(s->r);
    return (struct backoff_rules){.start_tries = c->lifecycle_start_tries,
                                  .crash_limit = c->lifecycle_crash_limit,
                                  .crash_window_ms = c->lifecycle_crash_window,
                                  .backoff_first_ms = c->lifecycle_backoff_first,
                                  .backoff_max_ms = c->lifecycle_backoff_max};
}

void space_held_up(struct space *s, const char *reason)
{
    struct backoff_rules rules = rules_of(s);
    if (s->state == LC_SWITCHING)
        space_failed(s, false, reason); /* its submitter hears of it, and nothing is lost */
    else
        space_event(s, EV_FAIL,
                    &(struct space_what){.reason = reason,
                                         .pause_ms = backoff_hold_up(&s->backoff, &rules)},
                    NULL);
}

void space_failed(struct space *s, bool served, const char *reason)
{
    const struct backoff_rules rules = rules_of(s);
    char text[sizeof(s->reason)];
    struct backoff_verdict v = {0};
    enum lc_event event;
    if (s->state == LC_SWITCHING && !served) {
        snprintf(text, sizeof(text), "the new version did not start: %s; the one before goes on",
                 reason);
        event = EV_FAIL;
    } else {
        v = served || s->version_was_ready ? backoff_crash(&s->backoff, &rules, mono_ms())
                                           : backoff_failed_start(&s->backoff, &rules);
        event =
            served ? (v.give_up ? EV_CRASH_LAST : EV_CRASH) : (v.give_up ? EV_FAIL_LAST : EV_FAIL);
        snprintf(text, sizeof(text), "%s", reason);
    }
    space_event(s, event, &(struct space_what){.reason = text, .pause_ms = v.pause_ms}, NULL);
}

/* Nearly always it is there, and this lies in the way of a wake. */
static int make_folder(const char *path, struct err *err)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : mkdir_p(path, 0700, err);
}

int space_make_folders(struct space *s, struct err *err)
{
    struct runner *r = s->r;
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/versions/%" PRIu64, r->data, s->id);
    int n = make_folder(path, err);
    if (n < 0)
        return n;
    snprintf(path, sizeof(path), "%s/volumes/%" PRIu64, r->data, s->id);
    n = make_folder(path, err);
    if (n < 0)
        return n;
    uid_t uid = r->range.first + 1 + s->uid_index;
    if (lchown(path, uid, uid) < 0)
        return err_errno(err, "cannot give %s to uid %u", path, uid);
    return 0;
}

static void on_start_timeout(void *arg)
{
    struct worker *w = arg;
    struct space *s = w->space;
    char reason[512], within[32];
    uint64_t ms = w->version.start_timeout_ms;
    int status = probe_last_status(w->probe);
    if (ms >= 60000 && ms % 60000 == 0)
        snprintf(within, sizeof(within), "%" PRIu64 " min", ms / 60000);
    else
        snprintf(within, sizeof(within), "%" PRIu64 " s", (ms + 999) / 1000);
    if (status)
        snprintf(reason, sizeof(reason), "answered HTTP with status %d only, on port %u, for %s",
                 status, w->version.port, within);
    else
        snprintf(reason, sizeof(reason), "did not answer HTTP on port %u within %s",
                 w->version.port, within);
    char lines[2048], met[400];
    limits_met_text(w->end.met, &w->limits, met, sizeof(met));
    if (*met) {
        size_t len = strlen(reason);
        snprintf(reason + len, sizeof(reason) - len, " (ran into: %s)", met);
    }
    logs_last_lines(s->r, s->id, w->id, LAST_LINES, lines, sizeof(lines));
    event_add(s->r, s, w->id, "worker.failed", "%s%s%s", reason, lines[0] ? "\n" : "", lines);
    space_end_worker(s, &s->nxt);
    space_failed(s, false, reason);
}

static void on_ready(struct worker *w)
{
    struct space *s = w->space;
    probe_free(w->probe);
    w->probe = NULL;
    loop_timer_cancel(s->r->loop, &w->start_timer);
    if (w != s->nxt)
        return;
    w->state = WORKER_READY;
    w->ready_ms = now_ms();
    w->active_ms = mono_ms();
    space_event(s, EV_READY, &(struct space_what){0}, NULL);
    event_add(s->r, s, w->id, "worker.ready", "answered after %" PRIu64 " ms",
              w->ready_ms - w->created_ms);
    idle_watch(w);
    logs_prune(s->r, s->id, conf_of(s->r)->limits_logs_kept);
}

void space_probe(struct space *s, struct worker *w)
{
    char host[512];
    recipe_host(s->r, s->label, host, sizeof(host));
    w->start_timer = (struct loop_timer){.fn = on_start_timeout, .arg = w};
    uint64_t age = now_ms() - w->created_ms, timeout = w->version.start_timeout_ms;
    loop_timer_set(s->r->loop, &w->start_timer,
                   timeout == UINT64_MAX ? timeout
                   : timeout > age       ? timeout - age
                                         : 1);
    struct err err = {0};
    if (probe_new(&w->probe, w, host, on_ready, &err) < 0) {
        struct log_ctx ctx = {.space = s->full_name, .worker_id = w->id};
        log_error(&ctx, "worker.probe", "%s", err.msg);
    }
}

/* A new runner can watch it better if it knows its pid. */
static void on_started(struct worker *w)
{
    life_worker_save(w->r, w, NULL, NULL);
}

static void on_met(struct worker *w, uint32_t fresh)
{
    char text[400];
    limits_met_text(fresh, &w->limits, text, sizeof(text));
    event_add(w->r, w->space, w->id, "worker.limit", "ran into: %s", text);
    life_worker_save(w->r, w, NULL, NULL);
    control_changed(w->space);
}

static void call_back(struct worker *w)
{
    w->on_started = on_started;
    w->on_met = on_met;
    w->on_end = on_worker_end;
    w->on_stats = control_worker_stats;
}

void space_adopt(struct space *s, struct worker *w)
{
    call_back(w);
    volume_adopt(s, w);
    s->workers++;
    budget_occupy(&s->r->budget, 1);
}

/* `held_up`: what failed is the platform's, not the Space's. */
static int start_worker(struct space *s, bool *held_up, struct err *err)
{
    static struct proto_start start; /* large, and used up before the next one */
    struct worker *w = worker_new(s->r, s);
    *held_up = true;
    if (!w)
        return err_set(err, ENOMEM, "no memory for a worker");
    w->version = s->state == LC_SWITCHING ? s->beside : s->version;
    w->restarts = backoff_count(&s->backoff);
    int n = w->version.id ? 0 : err_set(err, ENOENT, "its version is not known any more");
    if (n < 0)
        *held_up = false;
    if (n == 0)
        n = space_make_folders(s, err);
    if (n == 0 &&
        build_look(s->r, s->id, &w->version, w->env, w->layer, w->models) == BUILD_MISSING)
        n = err_set(err, EAGAIN, "its environment was removed");
    if (n == 0)
        n = site_limits(s->r, s->id, &w->limits, err);
    if (n == 0)
        n = gpus_give(w, err);
    if (n == 0)
        n = volume_prepare(s, w, err);
    if (n == 0)
        n = life_worker_create(s->r, w, err); /* first, so that a new runner knows of it */
    if (n == 0) {
        n = recipe_worker(&start, s->r, s, w, err);
        *held_up = n == 0 || err->internal; /* site.db could not be read */
    }
    if (n == 0)
        n = worker_start(w, &start, NULL, err);
    environment_forget(&start);
    if (n < 0) {
        if (w->id)
            life_worker_end(s->r, w->id, !*held_up, err->msg, NULL);
        gpus_give_back(w);
        worker_free(w);
        return n;
    }
    call_back(w);
    volume_watch(s, w);
    s->workers++;
    s->nxt = w;
    s->tail = (struct log_tail){0};
    if (s->watched)
        space_watch(s);
    space_probe(s, w);
    return 0;
}

void space_place(struct space *s)
{
    struct err err = {0};
    bool held_up = false;
    if (start_worker(s, &held_up, &err) == 0) {
        char gpus[400];
        gpus_names(s->nxt->gpus, gpus, sizeof(gpus));
        event_add(s->r, s, s->nxt->id, "worker.start", "version %.12s%s%s", s->nxt->version.sha,
                  gpus[0] ? ", with " : "", gpus);
        return;
    }
    gpus_leave(s);
    budget_release(&s->r->budget, 1);
    event_add(s->r, s, 0, held_up ? "worker.held-up" : "worker.failed", "%s", err.msg);
    if (held_up)
        space_held_up(s, public_reason(err.code, err.msg));
    else
        space_failed(s, false, public_reason(err.code, err.msg));
}

/* Once it has its GPUs. */
static void take_place(struct space *s)
{
    struct runner *r = s->r;
    if (budget_take(&r->budget, &s->claim)) {
        space_place(s);
        return;
    }
    snprintf(s->reason, sizeof(s->reason),
             "all %" PRIu64 " places for workers are taken; it starts as soon as one is free",
             r->budget.max);
    life_space_save(r, s, NULL);
    idle_make_room(r);
}

void space_begin_start(struct space *s)
{
    struct runner *r = s->r;
    char env[65], layer[65], models[65];
    if (r->stopping)
        return;
    const struct version *v = s->state == LC_SWITCHING ? &s->beside : &s->version;
    if (v->id && build_look(r, s->id, v, env, layer, models) == BUILD_MISSING) {
        build_begin(s, v);
        return;
    }
    if (!r->budget.max) { /* to be built was all */
        static const char why[] = "this server starts nothing (lifecycle.max_workers is 0)";
        if (s->state == LC_SWITCHING)
            space_failed(s, false, why);
        else
            space_event(s, EV_STOP, &(struct space_what){.reason = why}, NULL);
        return;
    }
    if (gpus_take(s))
        take_place(s);
}

void space_serve_line(struct runner *r)
{
    struct budget_claim *c;
    while (!r->stopping && (c = budget_next(&r->gpu_line))) {
        struct space *s = c->arg;
        gpus_taken(s);
        s->reason[0] = 0;
        take_place(s);
        gateway_route(s);
        control_changed(s);
    }
    while (!r->stopping && (c = budget_next(&r->budget))) {
        struct space *s = c->arg;
        s->reason[0] = 0;
        space_place(s);
        gateway_route(s);
        control_changed(s);
    }
}

/* ---- an end ---- */

void space_end_worker(struct space *s, struct worker **slot)
{
    struct worker *w = *slot;
    *slot = NULL;
    if (w)
        worker_stop(w, conf_of(s->r)->lifecycle_stop_grace);
}

/* Its start was cut short by the end of an earlier runner and starter: no fault of the version. */
static void start_again(struct space *s)
{
    struct version v = s->beside;
    bool beside = s->state == LC_SWITCHING;
    space_event(s, EV_FAIL, &(struct space_what){0}, NULL);
    if (beside)
        space_event(s, EV_DEPLOY, &(struct space_what){.version = &v}, NULL);
}

static void on_worker_end(struct worker *w, const struct worker_end *end)
{
    struct space *s = w->space;
    struct runner *r = s->r;
    bool served = w == s->cur, started = w == s->nxt;
    bool held_up = started && worker_is_held_up(end->code);
    char text[512], lines[2048] = "";
    worker_end_text(&w->limits, end, text, sizeof(text));
    w->state = (served || started) && !held_up ? WORKER_FAILED : WORKER_GONE;
    if (served)
        s->cur = NULL;
    if (started) {
        s->nxt = NULL;
        logs_last_lines(r, s->id, w->id, LAST_LINES, lines, sizeof(lines));
    }
    life_worker_save(r, w, text, NULL);
    event_add(r, s, w->id,
              served    ? "worker.crashed"
              : held_up ? "worker.held-up"
              : started ? "worker.failed"
                        : "worker.ended",
              "%s%s%s", text, lines[0] ? "\n" : "", lines);
    s->workers--;
    volume_ended(s);
    gpus_give_back(w);
    budget_release(&r->budget, 1);
    if (started && !w->confirmed && !end->reason && !end->message[0])
        start_again(s);
    else if (held_up)
        space_held_up(s, public_reason(end->code, text));
    else if (served || started)
        space_failed(s, served, public_reason(0, text));
    if (!s->workers) {
        commands_progress(s);
        space_event(s, EV_EMPTIED, &(struct space_what){0}, NULL);
    }
    space_serve_line(r);
}
