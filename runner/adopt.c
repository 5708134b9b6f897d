#include "runner/adopt.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/chore.h"
#include "runner/build_env.h"
#include "runner/events.h"
#include "runner/gpus.h"
#include "runner/idle.h"
#include "runner/life.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void gone(struct runner *r, struct space *s, const struct life_worker *row, bool serves)
{
    char text[512];
    struct worker_end end;
    worker_bury(r, row->id, &end);
    bool same_boot = strcmp(row->boot_id, r->boot_id) == 0;
    struct space_limits limits;
    site_limits(r, row->space_id, &limits, NULL);
    if (same_boot)
        worker_end_text(&limits, &end, text, sizeof(text));
    else
        snprintf(text, sizeof(text), "the machine was restarted");
    bool starts = strcmp(row->state, "starting") == 0;
    if (same_boot && s) {
        s->lost_cur |= serves;
        /* One that was not even made was cut short with the runner, and is started again. */
        s->lost_nxt |= starts && !serves && (row->pid || end.reason);
        snprintf(s->reason, sizeof(s->reason), "%s", text);
    }
    life_worker_end(r, row->id, same_boot && (serves || starts), text, NULL);
    event_add(r, s, row->id, "worker.ended", "while no runner was there: %s", text);
}

/* What it is to the Space, by what was written down last. */
static void give_role(struct space *s, struct worker *w, const struct life_worker *row, bool serves)
{
    bool starting = strcmp(row->state, "starting") == 0;
    if (serves) {
        s->cur = w;
        w->state = WORKER_READY;
        idle_watch(w);
    } else if (starting && !s->nxt && (s->state == LC_STARTING || s->state == LC_SWITCHING)) {
        s->nxt = w;
        w->state = WORKER_STARTING;
    } else if (!starting) {
        w->state = WORKER_READY;
        idle_drain(w);
    } else {
        worker_stop(w, conf_of(s->r)->lifecycle_stop_grace);
    }
}

static void adopt_one(struct runner *r, const struct life_worker *row)
{
    struct err err = {0};
    struct life_space life = {0};
    struct space *s = space_get(r, row->space_id, NULL, &err);
    bool serves =
        s && life_space_load(r, row->space_id, &life, NULL) == 1 && life.worker_id == row->id;
    struct worker *w = s && strcmp(row->boot_id, r->boot_id) == 0 ? worker_new(r, s) : NULL;
    if (!w) {
        gone(r, s, row, serves);
        return;
    }
    w->id = row->id;
    w->pid = row->pid;
    w->restarts = row->restarts;
    w->created_ms = row->created_ms;
    w->ready_ms = row->ready_ms;
    w->requests = row->requests;
    if (site_version(r, s->id, row->version_id, &w->version, NULL) != 1) {
        w->version = s->version;
        w->version.id = row->version_id;
    }
    w->version.port = row->port;
    site_limits(r, s->id, &w->limits, NULL); /* for words and numbers; its sandbox keeps its own */
    if (worker_adopt(w, &err) < 0) {
        worker_free(w);
        gone(r, s, row, serves);
        return;
    }
    gpus_adopt(w, row->gpus);
    space_adopt(s, w);
    give_role(s, w, row, serves);
    event_add(r, s, w->id, "worker.adopted", "pid %d", w->pid);
}

/* ---- what nobody knows ---- */

static unsigned strays; /* sandboxes that still end; when none is left, their trees are removed */

static int remove_half_made(const void *arg, struct err *err)
{
    const struct runner *r = arg;
    char path[PATH_MAX + 256];
    snprintf(path, sizeof(path), "%s/versions", r->data);
    _cleanup_closedir_ DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/versions/%s", r->data, e->d_name);
        _cleanup_closedir_ DIR *versions = opendir(path);
        for (struct dirent *v; versions && (v = readdir(versions));) {
            uint64_t id;
            if (sscanf(v->d_name, ".new-%" SCNu64, &id) == 1 && id < r->first_job_id &&
                remove_tree(dirfd(versions), v->d_name, err) < 0)
                return -err->code;
        }
    }
    return env_sweep(r, err);
}

static void on_removed(void *owner, int code)
{
    (void)owner;
    if (code)
        log_warn(NULL, "adopt.trees", "half-made versions are left: %s", strerror(code));
}

static void begin_removal(struct runner *r)
{
    struct err err = {0};
    if (chore_begin(r, remove_half_made, r, on_removed, r, &err) < 0)
        log_warn(NULL, "adopt.trees", "%s", err.msg);
}

static void on_stray_end(struct worker *w, const struct worker_end *end)
{
    (void)end;
    if (!--strays && !w->r->stopping)
        begin_removal(w->r);
}

/* A sandbox of an earlier runner that no row speaks of: a job, or one whose row was not written. */
static void end_stray(struct runner *r, uint64_t id)
{
    struct worker *w = worker_new(r, NULL);
    struct worker_end end;
    if (w) {
        w->id = id;
        w->on_end = on_stray_end;
        if (worker_adopt(w, NULL) == 0) {
            strays++;
            log_info(&(struct log_ctx){.worker_id = id}, "adopt.stray", "ending it");
            worker_stop(w, 0);
            return;
        }
        worker_free(w);
    }
    worker_bury(r, id, &end);
}

static void end_strays(struct runner *r)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/run/workers", r->data);
    _cleanup_closedir_ DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        uint64_t id;
        if (sscanf(e->d_name, "%" SCNu64 ".", &id) == 1 && !worker_by_id(r, id))
            end_stray(r, id);
    }
    if (!strays)
        begin_removal(r);
}

/* ---- every Space into a state of the table ---- */

static void count_failure(void *arg, uint64_t ended_ms, bool was_ready)
{
    struct space *s = arg;
    const struct conf *c = conf_of(s->r);
    uint64_t age = now_ms() - ended_ms, now = mono_ms();
    const struct backoff_rules rules = {.crash_limit = c->lifecycle_crash_limit,
                                        .crash_window_ms = c->lifecycle_crash_window,
                                        .start_tries = c->lifecycle_start_tries,
                                        .backoff_first_ms = 1,
                                        .backoff_max_ms = 1};
    if (was_ready || s->version_was_ready)
        backoff_crash(&s->backoff, &rules, age < now ? now - age : 0);
    else
        backoff_failed_start(&s->backoff, &rules);
}

static void go_on(struct space *s, enum lc_state as, enum lc_event event)
{
    s->state = as;
    space_event(s, event, &(struct space_what){0}, NULL);
}

/* A deploy was promised, and its worker was not begun: begin it again. */
static void deploy_again(struct space *s)
{
    struct site_space site;
    struct version v;
    s->state = LC_RUNNING;
    if (site_space(s->r, s->id, &site, NULL) == 1 && site.version_id != s->version.id &&
        site_version(s->r, s->id, site.version_id, &v, NULL) == 1)
        space_event(s, EV_DEPLOY, &(struct space_what){.version = &v}, NULL);
    else
        life_space_save(s->r, s, NULL);
}

static void settle(struct space *s)
{
    if (s->state == LC_DELETING) {
        if (!s->workers)
            space_event(s, EV_EMPTIED, &(struct space_what){0}, NULL);
        return;
    }
    if (s->state == LC_BUILDING) /* the build went with the runner, or with `up`: once more */
        s->state = LC_STARTING;
    else if (s->state == LC_REBUILDING)
        s->state = LC_SWITCHING;
    if (s->state != LC_STARTING && s->state != LC_RUNNING && s->state != LC_SWITCHING)
        return;
    char reason[sizeof(s->reason)];
    snprintf(reason, sizeof(reason), "%s", s->reason);
    uint64_t window = conf_of(s->r)->lifecycle_crash_window, now = now_ms();
    if (!s->lost_cur && !s->lost_nxt) /* the loss itself is counted by space_failed */
        life_failures(s->r, s->id, window > now ? 0 : now - window, count_failure, s);

    if (s->cur && s->nxt) {
        s->state = LC_SWITCHING;
        s->beside = s->nxt->version;
    } else if (s->nxt) {
        s->state = LC_STARTING;
        s->version = s->nxt->version;
        life_space_save(s->r, s, NULL);
    } else if (s->cur && s->lost_nxt) {
        s->state = LC_SWITCHING;
        space_failed(s, false, reason);
    } else if (s->cur) {
        if (s->state == LC_SWITCHING) {
            deploy_again(s);
        } else if (s->state != LC_RUNNING) { /* killed between its readiness and the row */
            s->state = LC_RUNNING;
            life_space_save(s->r, s, NULL);
        }
    } else if (s->lost_cur) {
        s->state = LC_RUNNING;
        space_failed(s, true, reason);
    } else if (s->lost_nxt) {
        s->state = LC_STARTING;
        space_failed(s, false, reason);
    } else if (s->state == LC_STARTING) { /* it waited: for a pause to end, or for a place */
        go_on(s, LC_BACKOFF, EV_RETRY);
    } else { /* the machine was restarted: a visit wakes it */
        s->state = LC_SLEEPING;
        s->reason[0] = 0;
        life_space_save(s->r, s, NULL);
    }
    if (s->nxt && !s->nxt->probe)
        space_probe(s, s->nxt);
}

int adopt_all(struct runner *r, struct err *err)
{
    struct life_worker row;
    uint64_t after = 0;
    int n;
    while ((n = life_live_worker_after(r, after, &row, err)) == 1) {
        after = row.id;
        adopt_one(r, &row);
    }
    if (n < 0)
        return n;
    end_strays(r);
    for (after = 0; (n = life_busy_space_after(r, after, &after, err)) == 1;) {
        struct space *s = space_get(r, after, NULL, NULL);
        if (s)
            settle(s);
    }
    return n;
}
