#include "runner/build.h"

#include "common/cleanup.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/build_index.h"
#include "runner/build_models.h"
#include "runner/build_own.h"
#include "runner/build_seal.h"
#include "runner/bytecode.h"
#include "runner/chore.h"
#include "runner/control.h"
#include "runner/delete.h"
#include "runner/build_env.h"
#include "runner/events.h"
#include "runner/gateway.h"
#include "runner/indexes.h"
#include "runner/life.h"
#include "runner/life_build.h"
#include "runner/logs.h"
#include "runner/public.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/space_start.h"
#include "runner/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOCK_BYTES (4 << 20)
#define FOUND_BYTES (32 << 20)
#define STALE_TRIES 3
#define HELD_UP_TRIES 5
#define HELD_UP_PAUSE_MS 1000
#define INDEXES_LOOK_MS 10
#define AHEAD_MS 200 /* by then the resolver waits for indexes more than it computes */
#define LOOK_FIRST_MS 1000
#define LOOK_SHARE 20 /* looking at its size takes at most one such part of the time */

static void advance(struct build *b);
static void queue_step(struct runner *r);

/* ---- what a version has ---- */

static bool is_there(const struct runner *r, uint64_t space_id, const char *sha, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    return snprintf(path, sizeof(path), "%s/versions/%" PRIu64 "/%s/%s", r->data, space_id, sha,
                    name) < (int)sizeof(path) &&
           lstat(path, &st) == 0;
}

static bool is_whole(struct runner *r, const char *key)
{
    return life_env_known(r, key) && env_is_there(r, key);
}

/* Nobody has to look inside: its SDK brings nothing, and there is no file that asks for anything.
 */
static bool asks_for_nothing(struct runner *r, uint64_t space_id, const struct version *v)
{
    if (strcmp(v->sdk, "static") == 0)
        return !build_card_asks(r, space_id, v);
    if (is_there(r, space_id, v->sha, "packages.txt"))
        return false;
    if (strcmp(v->sdk, "node") == 0)
        return !is_there(r, space_id, v->sha, "package.json") && !build_card_asks(r, space_id, v);
    return (strcmp(v->sdk, "python") == 0 || strcmp(v->sdk, "command") == 0) &&
           !is_there(r, space_id, v->sha, "requirements.txt") &&
           !is_there(r, space_id, v->sha, "pre-requirements.txt") &&
           !build_card_asks(r, space_id, v);
}

enum build_state build_look(struct runner *r, uint64_t space_id, const struct version *v,
                            char env[65], char layer[65], char models[65])
{
    env[0] = layer[0] = models[0] = 0;
    if (asks_for_nothing(r, space_id, v))
        return BUILD_NO_ENV;
    if (life_build_env(r, space_id, v->id, env, NULL) != 1)
        return BUILD_MISSING;
    if (life_build_layer(r, space_id, v->id, layer, NULL) != 1 ||
        (layer[0] && !is_whole(r, layer)) ||
        life_build_models(r, space_id, v->id, models, NULL) != 1 ||
        (models[0] && !is_whole(r, models)))
        return BUILD_MISSING;
    if (!env[0])
        return BUILD_NO_ENV;
    return is_whole(r, env) ? BUILD_HAS_ENV : BUILD_MISSING;
}

/* ---- the end of one ---- */

static bool is_building(const struct space *s)
{
    return s->state == LC_BUILDING || s->state == LC_REBUILDING;
}

static void free_build(struct build *b)
{
    struct runner *r = b->r;
    struct space *s = b->space;
    for (struct build **p = &r->builds; *p; p = &(*p)->next) {
        if (*p == b) {
            *p = b->next;
            break;
        }
    }
    loop_timer_cancel(r->loop, &b->deadline);
    loop_timer_cancel(r->loop, &b->retry);
    loop_timer_cancel(r->loop, &b->look);
    loop_timer_cancel(r->loop, &b->begin_ahead);
    if (s->build == b)
        s->build = NULL;
    buf_free(&b->lock);
    buf_free(&b->debs);
    buf_free(&b->preload);
    buf_free(&b->found);
    free(b);
    s->jobs--;
    if (s->state == LC_DELETING && !s->jobs && !s->workers)
        delete_files(s);
}

static void let_go(struct build *b)
{
    struct runner *r = b->r;
    free_build(b);
    queue_step(r);
    runner_check_stopped(r);
}

/* What those who asked for it read, and what becomes of the Space. */
static void tell_failed(struct build *b)
{
    struct space *s = b->space;
    char reason[sizeof(s->reason)];
    s->build = NULL;
    event_add(b->r, s, 0, "build.failed", "%s", b->reason);
    build_say(b, "failed", "%s", b->reason);
    if (!is_building(s))
        space_event(s, EV_BUILD, &(struct space_what){0}, NULL);
    snprintf(reason, sizeof(reason), "%s%.440s",
             s->state == LC_REBUILDING
                 ? "the new version could not be built, the one before goes on: "
                 : "",
             b->reason);
    space_event(s, EV_BUILD_FAIL, &(struct space_what){.reason = reason}, NULL);
}

static void on_removed(void *arg, int code)
{
    struct build *b = arg;
    if (code)
        log_warn(NULL, "build.remove", "envs/.new-%" PRIu64 " is left: %s", b->id, strerror(code));
    let_go(b);
}

static void on_not_removed(void *arg)
{
    let_go(arg);
}

static void remove_rest(struct build *b)
{
    struct err err = {0};
    b->removing = true;
    loop_timer_cancel(b->r->loop, &b->deadline);
    loop_timer_cancel(b->r->loop, &b->look);
    chore_kill_of(b->r, b); /* a look at its size */
    if (env_remove_fresh(b, on_removed, &err) < 0) {
        b->retry.fn =
            on_not_removed; /* not from in here: who goes through the builds is at this one */
        loop_timer_set(b->r->loop, &b->retry, 0);
    }
}

/* It is over: once its sandboxes are gone, what it left is removed. */
static void end(struct build *b)
{
    if (build_job_stop(b) || b->removing)
        return;
    if (b->none_left)
        let_go(b);
    else
        remove_rest(b);
}

/* It failed, or nobody wants it. */
static void give_up(struct build *b)
{
    if (!b->over) {
        b->over = true;
        loop_timer_cancel(b->r->loop, &b->deadline);
        loop_timer_cancel(b->r->loop, &b->retry);
        loop_timer_cancel(b->r->loop, &b->look);
        if (b->row)
            life_build_save(b->r, b, b->cancelled ? "cancelled" : "failed", NULL, NULL);
        if (!b->cancelled)
            tell_failed(b);
    }
    end(b);
}

void build_fail(struct build *b, const char *reason)
{
    if (!b->reason[0])
        snprintf(b->reason, sizeof(b->reason), "%s", reason);
}

/* ---- how it went well ---- */

/* Everything is there: `env` is "" where it needs nothing. */
static void succeed(struct build *b, const char *env)
{
    struct runner *r = b->r;
    struct space *s = b->space;
    bool anew = b->phase == PHASE_SEAL;
    life_begin(r);
    if (!b->row)
        life_build_create(r, b, "queued", NULL);
    if (anew)
        life_env_save(r, env, b->kind == LOCK_SHARED ? "" : s->owner, b->python, env_bytes(r, env),
                      build_is_npm(b) ? BYTECODE_MADE : BYTECODE_WANTED, NULL);
    if (env[0])
        life_resolution_save(r, b->request, env, NULL);
    life_build_save(r, b, "done", env, NULL);
    struct err err = {0};
    if (life_commit(r, &err) < 0) {
        build_fail(b, public_reason(err.code, err.msg));
        give_up(b);
        return;
    }
    if (anew) {
        char size[32];
        format_bytes(env_bytes(r, env), size);
        build_say(b, "done", "environment %.12s, %s", env, size);
        event_add(r, s, 0, "build.done", "environment %.12s, %s", env, size);
    } else if (env[0]) {
        build_say(b, "done", "environment %.12s is there already", env);
    }
    if (!b->cancelled) {
        s->build = NULL;
        if (is_building(s))
            space_event(s, EV_BUILT, &(struct space_what){0}, NULL);
        else
            space_begin_start(s);
    }
    b->over = true;
    if (anew) {
        env_settle(r, env);
        bytecode_wake(r);
    }
    b->none_left = anew || !(b->resolved || b->debs.len);
    end(b);
}

static void on_sealed(void *arg, int code)
{
    struct build *b = arg;
    if (code) {
        build_fail(b, public_reason(code, "the environment could not be stored"));
        give_up(b);
        return;
    }
    succeed(b, b->key);
}

static void seal(struct build *b)
{
    struct err err = {0};
    b->phase = PHASE_SEAL;
    loop_timer_cancel(b->r->loop, &b->deadline);
    loop_timer_cancel(b->r->loop, &b->look);
    chore_kill_of(b->r, b);
    if (env_seal(b, lock_kind_name(b->kind), on_sealed, &err) < 0) {
        build_fail(b, public_reason(err.code, err.msg));
        give_up(b);
    }
}

/* ---- its limits of time and disk ---- */

static void on_deadline(void *arg)
{
    struct build *b = arg;
    char text[160];
    snprintf(text, sizeof(text),
             "it took longer than %" PRIu64 " s (build.timeout); ask for less, or the operator for "
             "more time",
             conf_of(b->r)->build_timeout / 1000);
    build_fail(b, text);
    give_up(b);
}

static bool is_sealing(const struct build *b)
{
    return b->phase == PHASE_SEAL || b->phase == PHASE_DEBS_SEAL || b->phase == PHASE_MODELS_SEAL;
}

static void on_measured(void *arg, int code)
{
    struct build *b = arg;
    uint64_t took = mono_ms() - b->look_ms;
    char size[32], text[200];
    b->look_ms = 0;
    if (b->over || is_sealing(b))
        return;
    if (code == EFBIG || code == EMFILE) {
        format_bytes(b->phase == PHASE_MODELS ? conf_of(b->r)->build_preload_size
                                              : conf_of(b->r)->build_size,
                     size);
        if (code == EFBIG)
            snprintf(text, sizeof(text),
                     "it took more than %s of the disk (build.%s); ask for "
                     "less, or the operator for more room",
                     size, b->phase == PHASE_MODELS ? "preload_size" : "size");
        else
            snprintf(text, sizeof(text), "it made more than %" PRIu64 " files (build.inodes)",
                     conf_of(b->r)->build_inodes);
        build_fail(b, text);
        give_up(b);
        return;
    }
    uint64_t pause = took * LOOK_SHARE;
    loop_timer_set(b->r->loop, &b->look, pause > LOOK_FIRST_MS ? pause : LOOK_FIRST_MS);
}

static void on_look(void *arg)
{
    struct build *b = arg;
    struct err err = {0};
    b->look_ms = mono_ms();
    if (env_measure(b, on_measured, &err) < 0)
        loop_timer_set(b->r->loop, &b->look, LOOK_FIRST_MS);
}

/* ---- the steps ---- */

static void on_retry(void *arg)
{
    advance(arg);
}

static void start_step(struct build *b)
{
    struct err err = {0};
    if (build_job_start(b, &err) == 0)
        return;
    if (worker_is_held_up(err.code))
        build_job_ended(b, false, err.code);
    else {
        log_error(NULL, "build.start", "%s", err.msg);
        build_fail(b, public_reason(err.code, err.msg));
        b->retry.fn = on_retry;
        loop_timer_set(b->r->loop, &b->retry, 0);
    }
}

static void save(struct build *b, const char *state)
{
    if (life_build_save(b->r, b, state, NULL, NULL) < 0)
        log_warn(NULL, "build.row", "the row of build %" PRIu64 " could not be written", b->row);
}

static void watch(struct build *b)
{
    struct runner *r = b->r;
    if (!loop_timer_is_set(&b->deadline))
        loop_timer_set(r->loop, &b->deadline, conf_of(r)->build_timeout);
    if (!loop_timer_is_set(&b->look))
        loop_timer_set(r->loop, &b->look, LOOK_FIRST_MS);
}

/* The Space's reason, which people read while it is built. */
static void explain(struct build *b, const char *text)
{
    struct space *s = b->space;
    if (!is_building(s) || strcmp(s->reason, text) == 0)
        return;
    snprintf(s->reason, sizeof(s->reason), "%s", text);
    life_space_save(b->r, s, NULL);
    gateway_route(s);
    control_changed(s);
}

static bool has_slot(const struct build *b)
{
    return !b->removing &&
           (b->phase == PHASE_DEBS || b->phase == PHASE_MODELS || b->phase == PHASE_RESOLVE ||
            b->phase == PHASE_INSTALL || is_sealing(b));
}

static struct build *equal_one(const struct build *b)
{
    for (struct build *o = b->r->builds; o; o = o->next)
        if (o != b && !o->over && strcmp(o->key, b->key) == 0 &&
            (o->phase == PHASE_INSTALL || o->phase == PHASE_SEAL))
            return o;
    return NULL;
}

static bool use_existing(struct build *b, const char *key)
{
    if (!is_whole(b->r, key))
        return false;
    char env[65];
    memcpy(env, key, sizeof(env));
    succeed(b, env);
    return true;
}

/* The lock is known: what is equal is built once. */
static void install(struct build *b)
{
    if (use_existing(b, b->key))
        return;
    if (equal_one(b)) {
        if (b->phase != PHASE_EQUAL)
            build_say(b, "wait", "an equal environment is being built already");
        build_job_drop_ahead(b);
        b->phase = PHASE_EQUAL;
        loop_timer_cancel(b->r->loop, &b->deadline);
        queue_step(b->r);
        return;
    }
    if (b->phase == PHASE_EQUAL || !loop_timer_is_set(&b->deadline))
        loop_timer_set(b->r->loop, &b->deadline, conf_of(b->r)->build_timeout);
    b->phase = PHASE_INSTALL;
    save(b, "installing");
    build_say(b, "install", "%u packages into environment %.12s%s",
              lock_count(b->lock.data ? b->lock.data : "", b->lock.len), b->key,
              b->kind == LOCK_SHARED ? ", which is wheels alone" : "");
    start_step(b);
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

/* ---- packages.txt ---- */

/* Did these words lead to a layer before? */
static bool find_layer(struct build *b)
{
    if (!b->debs_digest[0])
        return true;
    build_make_debs_request(b);
    if (!b->anew && life_resolution(b->r, b->debs_request, b->layer, NULL) == 1 &&
        is_whole(b->r, b->layer))
        return true;
    b->layer[0] = 0;
    return false;
}

static void begin_models(struct build *b);

static void have_layer(struct build *b, const char *key)
{
    memcpy(b->layer, key, sizeof(b->layer));
    b->key[0] = 0;
    if (life_resolution_save(b->r, b->debs_request, b->layer, NULL) < 0)
        log_warn(NULL, "build.row", "what packages.txt led to could not be written down");
    if (b->cancelled || b->over)
        give_up(b);
    else
        begin_models(b);
}

static void on_layer_sealed(void *arg, int code)
{
    struct build *b = arg;
    char key[65], size[32];
    memcpy(key, b->key, sizeof(key));
    if (code || life_env_save(b->r, key, "", "", env_bytes(b->r, key), BYTECODE_MADE, NULL) < 0) {
        build_fail(b, public_reason(code ? code : EIO, "its packages could not be stored"));
        give_up(b);
        return;
    }
    buf_clear(&b->debs); /* nothing of it is left in .new-N */
    format_bytes(env_bytes(b->r, key), size);
    build_say(b, "packages", "layer %.12s, %s", key, size);
    have_layer(b, key);
}

/* They are unpacked: are they what is there already? */
static void debs_unpacked(struct build *b)
{
    struct err err = {0};
    build_make_debs_key(b);
    if (is_whole(b->r, b->key)) {
        char key[65];
        memcpy(key, b->key, sizeof(key));
        build_say(b, "packages", "layer %.12s is there already", key);
        have_layer(b, key);
        return;
    }
    b->phase = PHASE_DEBS_SEAL;
    loop_timer_cancel(b->r->loop, &b->deadline);
    loop_timer_cancel(b->r->loop, &b->look);
    chore_kill_of(b->r, b);
    if (env_seal(b, "debs", on_layer_sealed, &err) < 0) {
        build_fail(b, public_reason(err.code, err.msg));
        give_up(b);
    }
}

/* ---- preload_from_hub ---- */

static void begin_env(struct build *b);

/* Did these entries lead to a cache before? */
static bool find_models(struct build *b)
{
    if (!b->preload.len)
        return true;
    build_models_make_request(b);
    if (!b->anew && life_resolution(b->r, b->models_request, b->models, NULL) == 1 &&
        is_whole(b->r, b->models)) {
        build_say(b, "preload", "models %.12s are there already", b->models);
        return true;
    }
    b->models[0] = 0;
    return false;
}

static void fetch_models(struct build *b)
{
    b->phase = PHASE_MODELS;
    buf_clear(&b->found);
    save(b, "resolving");
    watch(b);
    start_step(b);
}

static void begin_models(struct build *b)
{
    if (!b->preload.len || b->models[0]) {
        begin_env(b);
        return;
    }
    build_say(b, "preload", "preload_from_hub, from %s", conf_of(b->r)->build_hub);
    fetch_models(b);
}

static void on_models_sealed(void *arg, int code)
{
    struct build *b = arg;
    if (code == ESTALE && !b->cancelled && ++b->found_stale < STALE_TRIES) {
        fetch_models(b); /* somebody else's, which was there, is gone: its own then */
        return;
    }
    if (code || life_env_save(b->r, b->key, b->space->owner, "", env_bytes(b->r, b->key),
                              BYTECODE_MADE, NULL) < 0) {
        build_fail(b, public_reason(code ? code : EIO, "its models could not be stored"));
        give_up(b);
        return;
    }
    memcpy(b->models, b->key, sizeof(b->models));
    b->key[0] = 0;
    build_say(b, "preload", "models %.12s", b->models);
    if (life_resolution_save(b->r, b->models_request, b->models, NULL) < 0)
        log_warn(NULL, "build.row", "what preload_from_hub led to could not be written down");
    if (b->cancelled || b->over)
        give_up(b);
    else
        begin_env(b);
}

static void models_fetched(struct build *b)
{
    struct err err = {0};
    build_models_make_key(b);
    b->phase = PHASE_MODELS_SEAL;
    loop_timer_cancel(b->r->loop, &b->deadline);
    loop_timer_cancel(b->r->loop, &b->look);
    chore_kill_of(b->r, b);
    if (env_seal(b, "models", on_models_sealed, &err) < 0) {
        build_fail(b, public_reason(err.code, err.msg));
        give_up(b);
    }
}

static void after_plan(struct build *b);

static void on_indexes(void *arg)
{
    struct build *b = arg;
    b->retry.fn = on_retry;
    after_plan(b);
}

static void after_plan(struct build *b)
{
    char env[65];
    /* they are part of what is asked for; nobody else's wake waits while they are being read */
    if ((build_index_has_way_out(b->r) || b->preload.len) && !indexes_are_ready(b->r)) {
        indexes_begin(b->r);
        b->retry.fn = on_indexes;
        loop_timer_set(b->r->loop, &b->retry, INDEXES_LOOK_MS);
        return;
    }
    if (!build_models_has_hub(b)) {
        give_up(b);
        return;
    }
    bool needs_env = build_needs_env(b);
    bool has_layer = find_layer(b), has_models = find_models(b);
    if (!needs_env && has_layer && has_models) {
        succeed(b, "");
        return;
    }
    if (needs_env && build_read_variables(b, false) < 0) {
        give_up(b);
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
        give_up(b);
        return;
    }
    event_add(b->r, b->space, 0, "build.start", "version %.12s", b->version.sha);
    space_event(b->space, EV_BUILD, &(struct space_what){0}, NULL);
    queue_step(b->r);
}

void build_take_plan(struct build *b, const char *json)
{
    char warning[256] = "";
    if (build_read_plan(b, json, warning, sizeof(warning)) < 0)
        build_fail(b, "what it asks for cannot be read");
    else if (warning[0])
        build_say(b, "warning", "%s", warning);
}

void build_job_ended(struct build *b, bool ok, int code)
{
    if (b->over || b->cancelled) {
        give_up(b);
        return;
    }
    if (code && ++b->held_up < HELD_UP_TRIES) {
        log_warn(NULL, "build.held-up", "%s; tried again", strerror(code));
        b->retry.fn = on_retry;
        loop_timer_set(b->r->loop, &b->retry, HELD_UP_PAUSE_MS);
        return;
    }
    if (code)
        build_fail(b, public_reason(code, "the server could not begin it; try again later"));
    b->held_up = code ? b->held_up : 0;
    if (ok && b->phase == PHASE_PLAN) {
        after_plan(b);
    } else if (ok && b->phase == PHASE_DEBS) {
        debs_unpacked(b);
    } else if (ok && b->phase == PHASE_MODELS) {
        models_fetched(b);
    } else if (ok && b->phase == PHASE_RESOLVE) {
        resolved(b);
    } else if (ok) {
        seal(b);
    } else if (b->phase == PHASE_INSTALL && b->kind == LOCK_SHARED && !code) {
        install_from_source(b);
    } else {
        give_up(b);
    }
}

void build_ahead_ended(struct build *b)
{
    bool awaited = b->awaits_end;
    b->awaits_end = false;
    if (b->over)
        end(b);
    else if (awaited)
        advance(b);
}

static void advance(struct build *b)
{
    if (b->over || b->cancelled || b->reason[0])
        give_up(b);
    else if (b->phase == PHASE_EQUAL)
        install(b);
    else
        start_step(b);
}

/* ---- the queue ---- */

static void begin_resolving(struct build *b)
{
    explain(b, "");
    watch(b);
    if (!b->debs_digest[0] || b->layer[0]) {
        begin_models(b);
        return;
    }
    if (!build_index_has_way_out(b->r)) {
        build_fail(b, "packages.txt needs a way out, and [build] index = none leaves builds none; "
                      "the operator can change that");
        give_up(b);
        return;
    }
    b->phase = PHASE_DEBS;
    save(b, "resolving");
    build_say(b, "packages", "packages.txt");
    start_step(b);
}

/* What all may use is most likely what comes of it. */
static void on_begin_ahead(void *arg)
{
    struct build *b = arg;
    if (b->phase == PHASE_RESOLVE && b->job && !b->over && !b->cancelled)
        build_job_ahead(b);
}

static void begin_env(struct build *b)
{
    char env[65];
    if (!build_needs_env(b)) {
        succeed(b, "");
        return;
    }
    if ((b->debs_digest[0] || b->preload.len) && !b->anew &&
        life_resolution(b->r, b->request, env, NULL) == 1 && use_existing(b, env))
        return;
    b->phase = PHASE_RESOLVE;
    save(b, "resolving");
    watch(b);
    build_say(b, "resolve", "for %s", b->python);
    if (build_read_variables(b, true) < 0) {
        give_up(b);
        return;
    }
    for (unsigned i = 0; i < b->added; i++)
        build_say(b, "resolve", "with %s, for sdk %s", b->add[i], b->version.sdk);
    start_step(b);
    if (!b->bound && !build_is_npm(b))
        loop_timer_set(b->r->loop, &b->begin_ahead, AHEAD_MS);
}

static void queue_step(struct runner *r)
{
    uint64_t running = 0;
    unsigned before = 0;
    if (r->stopping)
        return;
    for (struct build *b = r->builds; b; b = b->next)
        running += has_slot(b);
    for (struct build *b = r->builds, *next; b; b = next) {
        next = b->next;
        bool equal_ended = b->phase == PHASE_EQUAL && !equal_one(b);
        if (b->over || b->cancelled || (b->phase != PHASE_QUEUED && !equal_ended))
            continue;
        if (running < conf_of(r)->build_parallel) {
            running++;
            if (equal_ended) {
                b->retry.fn = on_retry;
                loop_timer_set(r->loop, &b->retry, 0);
            } else {
                begin_resolving(b);
            }
            continue;
        }
        char text[120];
        snprintf(text, sizeof(text), "waits for its turn to be built: %u %s before it", before,
                 before == 1 ? "is" : "are");
        if (b->phase == PHASE_QUEUED)
            explain(b, before ? text : "is the next one to be built");
        before++;
    }
}

/* ---- doors ---- */

void build_begin(struct space *s, const struct version *v)
{
    struct runner *r = s->r;
    struct build *b = s->build ? NULL : calloc(1, sizeof(*b));
    if (!b) {
        if (!s->build)
            space_held_up(s, "the server is out of memory");
        return;
    }
    *b = (struct build){.r = r,
                        .space = s,
                        .version = *v,
                        .anew = s->build_anew,
                        .id = ++r->last_job_id,
                        .lock = BUF_INIT(LOCK_BYTES),
                        .debs = BUF_INIT(LOCK_BYTES),
                        .preload = BUF_INIT(LOCK_BYTES),
                        .found = BUF_INIT(FOUND_BYTES)};
    b->deadline = (struct loop_timer){.fn = on_deadline, .arg = b};
    b->retry = (struct loop_timer){.fn = on_retry, .arg = b};
    b->look = (struct loop_timer){.fn = on_look, .arg = b};
    b->begin_ahead = (struct loop_timer){.fn = on_begin_ahead, .arg = b};
    s->build_anew = false;
    s->build = b;
    s->jobs++;
    struct build **last = &r->builds;
    while (*last)
        last = &(*last)->next;
    *last = b;
    build_read_card(b);
    if (build_index_has_way_out(r) || b->preload.len)
        indexes_begin(r); /* beside the plan */
    start_step(b);
}

static void cancel(struct build *b, const char *why)
{
    if (b->cancelled || b->over)
        return;
    b->cancelled = true;
    if (b->space->build == b)
        b->space->build = NULL;
    snprintf(b->reason, sizeof(b->reason), "%s", why);
    if (b->row)
        build_say(b, "cancelled", "%s", why);
    if (!is_sealing(b)) /* that one is nearly done, and may be of use to somebody */
        give_up(b);
}

void build_cancel(struct space *s, const char *why)
{
    if (s->build)
        cancel(s->build, why);
}

void build_cancel_all(struct runner *r)
{
    for (struct build *b = r->builds, *next; b; b = next) {
        next = b->next;
        cancel(b, "the server stops");
    }
}
