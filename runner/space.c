#include "runner/space.h"

#include "common/conf.h"
#include "common/limits_met.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/build.h"
#include "runner/commands.h"
#include "runner/control.h"
#include "runner/delete.h"
#include "runner/events.h"
#include "runner/gateway.h"
#include "runner/gpus.h"
#include "runner/idle.h"
#include "runner/life.h"
#include "runner/probe.h"
#include "runner/public.h"
#include "runner/recipe.h"
#include "runner/pack.h"
#include "runner/runner.h"
#include "runner/space_start.h"
#include "runner/volume.h"
#include "runner/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_FIRST_MS 300 /* a start that is over before that needs no lines */
#define TAIL_EACH_MS 200
#define FORGET_AFTER_MS 600000

static struct log_ctx ctx_of(const struct space *s)
{
    return (struct log_ctx){.space = s->full_name};
}

/* ---- in and out of memory ---- */

struct space *space_find(struct runner *r, uint64_t id)
{
    struct space *s = r->spaces[id % RUNNER_SPACE_BUCKETS];
    while (s && s->id != id)
        s = s->next;
    return s;
}

static void set_names(struct space *s, const struct site_space *site)
{
    snprintf(s->owner, sizeof(s->owner), "%s", site->owner);
    snprintf(s->name, sizeof(s->name), "%s", site->name);
    snprintf(s->full_name, sizeof(s->full_name), "%s/%s", site->owner, site->name);
    snprintf(s->label, sizeof(s->label), "%s", site->label);
    s->sleep_after_ms = site->sleep_after_ms;
    s->is_private = site->is_private;
}

void space_refresh(struct space *s)
{
    struct site_space site;
    if (site_space(s->r, s->id, &site, NULL) != 1)
        return;
    uint64_t before_ms = s->sleep_after_ms;
    char label[sizeof s->label];
    memcpy(label, s->label, sizeof label);
    set_names(s, &site);
    if (strcmp(label, s->label) != 0) { /* nobody gets there by the old name any more */
        gateway_route_none(s->r, label);
        gateway_route(s);
    }
    if (s->sleep_after_ms != before_ms && s->cur)
        idle_retime(s->cur);
}

static void on_retry(void *arg)
{
    space_event(arg, EV_RETRY, &(struct space_what){0}, NULL);
}

static void send_line(void *arg, const char *line)
{
    gateway_wait_line(arg, line);
}

static void on_tail(void *arg)
{
    struct space *s = arg;
    if (s->state != LC_STARTING || !s->nxt || !s->watched)
        return;
    logs_tail(s->r, s->id, s->nxt->id, &s->tail, send_line, s);
    loop_timer_set(s->r->loop, &s->tail_timer, TAIL_EACH_MS);
}

struct space *space_get(struct runner *r, uint64_t id, const char *full_name, struct err *err)
{
    struct space *s = space_find(r, id);
    if (s) {
        s->touched_ms = mono_ms();
        return s;
    }
    struct site_space site = {0};
    struct life_space life = {.stage = "NO_APP_FILE"};
    int in_site = site_space(r, id, &site, err), in_life = life_space_load(r, id, &life, err);
    if (in_life < 0 || (in_site < 0 && in_site != -ENOENT))
        return NULL;
    bool known = in_site == 1 && !site.deleted; /* a deleted one is known until its rows here go */
    if (!known && !in_life && !full_name) {
        err_set(err, ENOENT, "there is no such Space");
        return NULL;
    }
    s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(err, ENOMEM, "no memory for another Space");
        return NULL;
    }
    s->r = r;
    s->id = id;
    s->touched_ms = mono_ms();
    s->retry_timer = (struct loop_timer){.fn = on_retry, .arg = s};
    s->tail_timer = (struct loop_timer){.fn = on_tail, .arg = s};
    s->claim.arg = s->gpu_claim.arg = s;
    snprintf(s->full_name, sizeof(s->full_name), "%s", full_name ? full_name : "");
    s->is_private = true; /* until it is known not to be */
    if (in_site == 1)
        set_names(s, &site);
    if (!in_life && life_space_create(r, id, &life.uid_index, err) < 0) {
        free(s);
        return NULL;
    }
    s->uid_index = life.uid_index;
    s->volume.known = life.data_known;
    s->volume.used = life.data;
    s->volume.given_to = life.data_project;
    s->state = lifecycle_state_of(proto_stage_of(life.stage));
    snprintf(s->reason, sizeof(s->reason), "%s", life.reason);
    int in_versions = life.version_id ? site_version(r, id, life.version_id, &s->version, err) : 0;
    if (in_versions < 0 &&
        in_versions != -ENOENT) { /* it cannot be read just now: that is not to be taken for none */
        free(s);
        return NULL;
    }
    if (in_versions == 1)
        s->version_was_ready = life_version_was_ready(r, id, life.version_id);
    struct space **bucket = &r->spaces[id % RUNNER_SPACE_BUCKETS];
    s->next = *bucket;
    *bucket = s;
    return s;
}

struct space *space_by_label(struct runner *r, const char *label, struct err *err)
{
    uint64_t id;
    int n = site_space_id(r, label, &id, err);
    if (n == 1)
        return space_get(r, id, NULL, err);
    if (n == 0)
        err_set(err, ENOENT, "there is no such Space");
    return NULL;
}

void space_free(struct space *s)
{
    struct space **p = &s->r->spaces[s->id % RUNNER_SPACE_BUCKETS];
    while (*p != s)
        p = &(*p)->next;
    *p = s->next;
    loop_timer_cancel(s->r->loop, &s->retry_timer);
    loop_timer_cancel(s->r->loop, &s->pack_timer);
    loop_timer_cancel(s->r->loop, &s->tail_timer);
    loop_timer_cancel(s->r->loop, &s->removal_timer);
    budget_leave(&s->r->budget, &s->claim);
    gpus_leave(s);
    backoff_forgive(&s->backoff);
    free(s);
}

/* ---- what the table says, done ---- */

static void end_next(struct space *s)
{
    budget_leave(&s->r->budget, &s->claim);
    gpus_leave(s);
    build_cancel(s, "it is not wanted any more");
    space_end_worker(s, &s->nxt);
}

static void end_all(struct space *s)
{
    end_next(s);
    space_end_worker(s, &s->cur);
    for (struct worker *w = s->r->workers; w; w = w->next) {
        if (w->space == s && w->draining)
            worker_stop(w, conf_of(s->r)->lifecycle_stop_grace);
    }
}

static void take(struct space *s, const struct version *v)
{
    if (v->id != s->version.id)
        s->version_was_ready = life_version_was_ready(s->r, s->id, v->id);
    s->version = *v;
}

/* In memory only; `old` is the worker that drains from here on. */
static void do_step(struct space *s, const struct lc_step *step, const struct space_what *what,
                    struct worker **old)
{
    unsigned todo = step->todo;
    if (step->next != s->state)
        loop_timer_cancel(s->r->loop, &s->retry_timer);
    if (todo & LC_FORGIVE)
        backoff_forgive(&s->backoff);
    if (todo & LC_END)
        end_all(s);
    if (todo & LC_END_NEXT)
        end_next(s);
    if (todo & LC_END_CUR)
        space_end_worker(s, &s->cur);
    if (todo & LC_TAKE && what->version)
        take(s, what->version);
    if (todo & LC_TAKE_NEXT)
        take(s, &s->beside);
    if (todo & LC_PROMOTE && s->nxt) {
        *old = s->cur;
        s->cur = s->nxt;
        s->nxt = NULL;
        take(s, &s->cur->version);
        s->version_was_ready = true;
        backoff_ready(&s->backoff);
    }
    if (todo & LC_PAUSE)
        loop_timer_set(s->r->loop, &s->retry_timer, what->pause_ms);
    if (todo & LC_BESIDE && what->version)
        s->beside = *what->version;
    s->state = step->next;
}

/* Its row, the event log, and the command that led here, in one transaction. */
static int record(struct space *s, enum proto_stage before, const struct space_what *what,
                  struct err *err)
{
    enum proto_stage stage = lifecycle_stage(s->state);
    life_begin(s->r);
    life_space_save(s->r, s, NULL);
    if (s->cur)
        life_worker_save(s->r, s->cur, NULL, NULL);
    if (what->command_id)
        life_command_done(s->r, what->command_id, 0, "", NULL);
    int n = life_commit(s->r, err);
    s->unsaved = n < 0;
    if (stage != before)
        event_add(s->r, s, s->cur ? s->cur->id : 0, "space.stage", "%s%s%s",
                  proto_stage_name(stage), s->reason[0] ? ": " : "", s->reason);
    return n;
}

int space_event(struct space *s, enum lc_event event, const struct space_what *what,
                struct err *err)
{
    struct lc_step step = lifecycle_step(s->state, event);
    s->touched_ms = mono_ms();
    if (step.todo & LC_REFUSE)
        return err_set(err, EPERM, "%s", lifecycle_refusal(s->state, event));
    if (step.todo & LC_NEVER) {
        struct log_ctx ctx = ctx_of(s);
        log_warn(&ctx, "space.event", "%s in state %s", lifecycle_event_name(event),
                 lifecycle_state_name(s->state));
        return 0;
    }
    if (step.todo & LC_FORGET) {
        delete_files(s);
        return 0;
    }
    enum lc_state state = s->state;
    enum proto_stage before = lifecycle_stage(state);
    struct worker *served = s->cur, *drains = NULL;
    do_step(s, &step, what, &drains);
    bool moved = state != s->state || served != s->cur;
    if (moved || what->reason)
        snprintf(s->reason, sizeof(s->reason), "%s", what->reason ? what->reason : "");

    /* Visitors first: who waits for a worker must not wait for a disk. */
    if (step.todo & LC_PROMOTE)
        gateway_route(s);
    int n = 0;
    if (step.todo & (LC_START | LC_BESIDE)) {
        if (what->command_id) /* what was promised is written before it is begun */
            n = record(s, before, what, err);
        space_begin_start(s);
        if (!what->command_id)
            n = record(s, before, what, err);
    } else if (moved || what->command_id || what->reason || (step.todo & LC_TAKE)) {
        n = record(s, before, what, err);
    }
    if (drains)
        idle_drain(drains);
    if ((moved && !(step.todo & LC_PROMOTE)) || (step.todo & LC_TELL))
        gateway_route(s);
    if (moved || what->reason)
        control_changed(s);
    if (step.todo & LC_END && !s->workers)
        return space_event(s, EV_EMPTIED, &(struct space_what){0}, err);
    return n;
}

void space_watch(struct space *s)
{
    s->watched = true;
    if (s->nxt && !loop_timer_is_set(&s->tail_timer))
        loop_timer_set(s->r->loop, &s->tail_timer, TAIL_FIRST_MS);
}

/* ---- from time to time, and at the end ---- */

void space_tick(struct runner *r)
{
    for (size_t i = 0; i < RUNNER_SPACE_BUCKETS; i++) {
        for (struct space *s = r->spaces[i], *next; s; s = next) {
            next = s->next;
            if (s->unsaved)
                s->unsaved = life_space_save(r, s, NULL) < 0;
            bool rests = s->state == LC_SLEEPING || s->state == LC_STOPPED ||
                         s->state == LC_PAUSED || s->state == LC_FAILED || s->state == LC_UNBUILT ||
                         s->state == LC_EMPTY;
            if (rests && !s->workers && !s->commands && !s->jobs && !s->unsaved &&
                !volume_is_busy(s) && !pack_is_due(s) &&
                mono_ms() - s->touched_ms > FORGET_AFTER_MS)
                space_free(s);
        }
    }
}

unsigned space_shutdown(struct runner *r)
{
    unsigned left = 0;
    for (size_t i = 0; i < RUNNER_SPACE_BUCKETS; i++) {
        for (struct space *s = r->spaces[i], *next; s; s = next) {
            next = s->next;
            left += s->workers;
            space_event(s, EV_SHUTDOWN, &(struct space_what){0}, NULL);
            end_all(s); /* draining ones, whatever the state */
        }
    }
    return left;
}
