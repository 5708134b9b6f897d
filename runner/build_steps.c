/* Which step of a build follows which, from its plan on: those of build.h, in that order. */
#include "runner/build_own.h"

#include "common/log.h"
#include "common/util.h"
#include "runner/build_env.h"
#include "runner/build_index.h"
#include "runner/build_models.h"
#include "runner/build_seal.h"
#include "runner/events.h"
#include "runner/indexes.h"
#include "runner/life_build.h"
#include "runner/public.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <inttypes.h>
#include <string.h>

#define HELD_UP_TRIES 5
#define HELD_UP_PAUSE_MS 1000
#define INDEXES_LOOK_MS 10
#define AHEAD_MS 200 /* by then the resolver waits for indexes more than it computes */

/* ---- what each step does ---- */

static void later(struct build *b, loop_timer_fn fn, uint64_t ms)
{
    b->retry.fn = fn;
    loop_timer_set(b->r->loop, &b->retry, ms);
}

void build_start_step(struct build *b)
{
    struct err err = {0};
    if (build_job_start(b, &err) == 0)
        return;
    if (worker_is_held_up(err.code))
        build_job_ended(b, false, err.code);
    else {
        log_error(NULL, "build.start", "%s", err.msg);
        build_fail(b, public_reason(err.code, err.msg));
        build_go_on_later(b, 0);
    }
}

void build_begin_seal(struct build *b, enum build_phase phase, const char *name,
                      void (*done)(void *b, int code))
{
    struct err err = {0};
    b->phase = phase;
    build_unwatch(b);
    if (env_seal(b, name, done, &err) < 0) {
        build_fail(b, public_reason(err.code, err.msg));
        build_give_up(b);
    }
}

void build_save(struct build *b, const char *state)
{
    if (life_build_save(b->r, b, state, NULL, NULL) < 0)
        log_warn(NULL, "build.row", "the row of build %" PRIu64 " could not be written", b->row);
}

/* What it needs is there already. */
static bool use_existing(struct build *b, const char *key)
{
    if (!build_is_whole(b->r, key))
        return false;
    char env[65];
    memcpy(env, key, sizeof(env));
    build_succeed(b, env);
    return true;
}

/* ---- the plan ---- */

static void after_plan(struct build *b);

static void on_indexes(void *arg)
{
    after_plan(arg);
}

static void after_plan(struct build *b)
{
    char env[65];
    /* they are part of what is asked for; nobody else's wake waits while they are being read */
    if ((build_index_has_way_out(b->r) || b->preload.len) && !indexes_are_ready(b->r)) {
        indexes_begin(b->r);
        later(b, on_indexes, INDEXES_LOOK_MS);
        return;
    }
    if (!build_models_has_hub(b)) {
        build_give_up(b);
        return;
    }
    bool needs_env = build_needs_env(b);
    bool has_layer = build_debs_known(b), has_models = build_models_known(b);
    if (!needs_env && has_layer && has_models) {
        build_succeed(b, "");
        return;
    }
    if (needs_env && build_read_variables(b, false) < 0) {
        build_give_up(b);
        return;
    }
    if (needs_env)
        build_make_request(b);
    if (has_layer && has_models && needs_env && !b->anew &&
        life_resolution(b->r, b->request, env, NULL) == 1 && use_existing(b, env))
        return;
    b->phase = PHASE_QUEUED;
    if (life_build_create(b->r, b, "queued", NULL) < 0) {
        build_fail(b, "the server's database could not be written");
        build_give_up(b);
        return;
    }
    event_add(b->r, b->space, 0, "build.start", "version %.12s", b->version.sha);
    space_event(b->space, EV_BUILD, &(struct space_what){0}, NULL);
    build_queue(b->r);
}

void build_take_plan(struct build *b, const char *json)
{
    char warning[256] = "";
    if (build_read_plan(b, json, warning, sizeof(warning)) < 0)
        build_fail(b, "what it asks for cannot be read");
    else if (warning[0])
        build_say(b, "warning", "%s", warning);
}

/* ---- the environment ---- */

/* What all may use is most likely what comes of it. */
static void on_begin_ahead(void *arg)
{
    struct build *b = arg;
    if (b->phase == PHASE_RESOLVE && b->job && !b->over && !b->cancelled)
        build_job_ahead(b);
}

void build_begin_env(struct build *b)
{
    char env[65];
    if (!build_needs_env(b)) {
        build_succeed(b, "");
        return;
    }
    if ((b->debs_digest[0] || b->preload.len) && !b->anew &&
        life_resolution(b->r, b->request, env, NULL) == 1 && use_existing(b, env))
        return;
    b->phase = PHASE_RESOLVE;
    build_save(b, "resolving");
    build_watch(b);
    build_say(b, "resolve", "for %s", b->python);
    if (build_read_variables(b, true) < 0) {
        build_give_up(b);
        return;
    }
    for (unsigned i = 0; i < b->added; i++)
        build_say(b, "resolve", "with %s, for sdk %s", b->add[i], b->version.sdk);
    build_start_step(b);
    if (!b->bound && !build_is_npm(b))
        loop_timer_set(b->r->loop, &b->begin_ahead, AHEAD_MS);
}

/* The lock is known: what is equal is built once. */
static void install(struct build *b)
{
    if (use_existing(b, b->key))
        return;
    if (build_equal_one(b)) {
        if (b->phase != PHASE_EQUAL)
            build_say(b, "wait", "an equal environment is being built already");
        build_job_drop_ahead(b);
        b->phase = PHASE_EQUAL;
        loop_timer_cancel(b->r->loop, &b->deadline);
        build_queue(b->r);
        return;
    }
    build_watch(b);
    b->phase = PHASE_INSTALL;
    build_save(b, "installing");
    build_say(b, "install", "%u packages into environment %.12s%s",
              lock_count(b->lock.data ? b->lock.data : "", b->lock.len), b->key,
              b->kind == LOCK_SHARED ? ", which is wheels alone" : "");
    build_start_step(b);
}

static void resolved(struct build *b)
{
    b->resolved = true;
    b->kind = lock_judge(b->lock.data ? b->lock.data : "", b->lock.len);
    if (b->bound)
        b->kind = LOCK_BOUND;
    /* That it is wheels alone is the word of a sandbox where strangers' code ran; what npm or a
     * command of the bundle makes never is, whatever was said there. */
    if (b->kind == LOCK_SHARED && (!b->wheels || build_is_npm(b)))
        b->kind = LOCK_OWN;
    build_make_key(b);
    install(b);
}

/* Not all is there as a wheel after all: it may be built from source, for this owner alone. */
static void install_from_source(struct build *b)
{
    build_say(b, "install",
              "not everything is there as a wheel (%s); once more, with packages that "
              "are built from source",
              b->reason);
    b->reason[0] = 0;
    b->kind = LOCK_OWN;
    build_make_key(b);
    install(b);
}

static void on_sealed(void *arg, int code)
{
    struct build *b = arg;
    if (code) {
        build_fail(b, public_reason(code, "the environment could not be stored"));
        build_give_up(b);
        return;
    }
    build_succeed(b, b->key);
}

static void seal(struct build *b)
{
    build_begin_seal(b, PHASE_SEAL, lock_kind_name(b->kind), on_sealed);
}

/* ---- what follows ---- */

void build_job_ended(struct build *b, bool ok, int code)
{
    if (b->over || b->cancelled) {
        build_give_up(b);
        return;
    }
    if (code && ++b->held_up < HELD_UP_TRIES) {
        log_warn(NULL, "build.held-up", "%s; tried again", strerror(code));
        build_go_on_later(b, HELD_UP_PAUSE_MS);
        return;
    }
    if (code)
        build_fail(b, public_reason(code, "the server could not begin it; try again later"));
    b->held_up = code ? b->held_up : 0;
    if (ok && b->phase == PHASE_PLAN) {
        after_plan(b);
    } else if (ok && b->phase == PHASE_DEBS) {
        build_debs_unpacked(b);
    } else if (ok && b->phase == PHASE_MODELS) {
        build_models_fetched(b);
    } else if (ok && b->phase == PHASE_RESOLVE) {
        resolved(b);
    } else if (ok) {
        seal(b);
    } else if (b->phase == PHASE_INSTALL && b->kind == LOCK_SHARED && !code) {
        install_from_source(b);
    } else {
        build_give_up(b);
    }
}

static void go_on(struct build *b)
{
    if (b->over || b->cancelled || b->reason[0])
        build_give_up(b);
    else if (b->phase == PHASE_EQUAL)
        install(b);
    else
        build_start_step(b);
}

void build_ahead_ended(struct build *b)
{
    bool awaited = b->awaits_end;
    b->awaits_end = false;
    if (b->over)
        build_end(b);
    else if (awaited)
        go_on(b);
}

static void on_go_on(void *arg)
{
    go_on(arg);
}

void build_go_on_later(struct build *b, uint64_t ms)
{
    later(b, on_go_on, ms);
}

void build_steps_init(struct build *b)
{
    b->retry = (struct loop_timer){.fn = on_go_on, .arg = b};
    b->begin_ahead = (struct loop_timer){.fn = on_begin_ahead, .arg = b};
}
