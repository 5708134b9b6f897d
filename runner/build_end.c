/* How a build ends: it went well, it failed, or nobody wants it any more; and what is left of it is
 * taken away. */
#include "runner/build_own.h"

#include "common/log.h"
#include "common/util.h"
#include "runner/build_env.h"
#include "runner/build_seal.h"
#include "runner/bytecode.h"
#include "runner/delete.h"
#include "runner/events.h"
#include "runner/life.h"
#include "runner/life_build.h"
#include "runner/public.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/space_start.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is left of it ---- */

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
    build_queue(r);
    runner_check_stopped(r);
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
    build_unwatch(b);
    if (env_remove_fresh(b, on_removed, &err) < 0) {
        b->retry.fn =
            on_not_removed; /* not from in here: who goes through the builds is at this one */
        loop_timer_set(b->r->loop, &b->retry, 0);
    }
}

/* It is over: once its sandboxes are gone, what it left is removed. */
void build_end(struct build *b)
{
    if (build_job_stop(b) || b->removing)
        return;
    if (b->none_left)
        let_go(b);
    else
        remove_rest(b);
}

/* ---- it failed, or nobody wants it ---- */

void build_fail(struct build *b, const char *reason)
{
    if (!b->reason[0])
        snprintf(b->reason, sizeof(b->reason), "%s", reason);
}

/* What those who asked for it read, and what becomes of the Space. */
static void tell_failed(struct build *b)
{
    struct space *s = b->space;
    char reason[sizeof(s->reason)];
    s->build = NULL;
    event_add(b->r, s, 0, "build.failed", "%s", b->reason);
    build_say(b, "failed", "%s", b->reason);
    if (!space_is_building(s))
        space_event(s, EV_BUILD, &(struct space_what){0}, NULL);
    snprintf(reason, sizeof(reason), "%s%.440s",
             s->state == LC_REBUILDING
                 ? "the new version could not be built, the one before goes on: "
                 : "",
             b->reason);
    space_event(s, EV_BUILD_FAIL, &(struct space_what){.reason = reason}, NULL);
}

/* It failed, or nobody wants it. */
void build_give_up(struct build *b)
{
    if (!b->over) {
        b->over = true;
        loop_timer_cancel(b->r->loop, &b->retry);
        build_unwatch(b);
        if (b->row)
            life_build_save(b->r, b, b->cancelled ? "cancelled" : "failed", NULL, NULL);
        if (!b->cancelled)
            tell_failed(b);
    }
    build_end(b);
}

/* ---- it went well ---- */

/* Everything is there: `env` is "" where it needs nothing. */
void build_succeed(struct build *b, const char *env)
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
        build_give_up(b);
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
        if (space_is_building(s))
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
    build_end(b);
}
