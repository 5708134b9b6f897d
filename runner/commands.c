#include "runner/commands.h"

#include "common/log.h"
#include "runner/control.h"
#include "runner/delete.h"
#include "runner/events.h"
#include "runner/gateway.h"
#include "runner/life.h"
#include "runner/life_build.h"
#include "runner/public.h"
#include "runner/recipe.h"
#include "runner/runner.h"
#include "runner/space.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct command {
    struct command *next;
    uint64_t id, version_id;
    enum lc_event event;
    bool begun;   /* waits for the last worker to be gone */
    bool rebuild; /* a deploy of the version that it has, from what its requirements mean today */
};

static bool event_of(const char *verb, enum lc_event *ret)
{
    for (enum lc_event e = EV_DEPLOY; e <= EV_DELETE; e++) {
        if (strcmp(lifecycle_event_name(e), verb) == 0) {
            *ret = e;
            return true;
        }
    }
    return false;
}

/* These are done when no process is left. */
static bool waits(enum lc_event e)
{
    return e == EV_STOP || e == EV_PAUSE || e == EV_DELETE;
}

/* What was done and could not be written down (a full disk). Until it is, a new runner would do it
 * again, after newer ones. */
struct unrecorded {
    struct unrecorded *next;
    uint64_t id;
    int code;
    char message[];
};

static void keep(struct runner *r, uint64_t id, int code, const char *message)
{
    size_t size = strlen(message) + 1;
    struct unrecorded *u = calloc(1, sizeof(*u) + size), **last = &r->unrecorded;
    if (!u)
        return;
    u->id = id;
    u->code = code;
    memcpy(u->message, message, size);
    while (*last)
        last = &(*last)->next;
    *last = u;
}

void commands_record(struct runner *r)
{
    for (struct unrecorded *u; (u = r->unrecorded);) {
        if (life_command_done(r, u->id, u->code, u->message, NULL) < 0)
            return;
        r->unrecorded = u->next;
        free(u);
    }
}

static void answer(struct runner *r, uint64_t id, int code, const char *message)
{
    if (code)
        message = public_reason(code, message);
    if (life_command_done(r, id, code, message, NULL) < 0)
        keep(r, id, code, message);
    control_command_done(r, id, code, message);
}

static void pop(struct space *s)
{
    struct command *c = s->commands;
    s->commands = c->next;
    free(c);
}

/* 0: done, or begun (c->begun); else the reason why not. */
static int apply(struct space *s, struct command *c, struct err *err)
{
    struct version v;
    struct space_what what = {.command_id = waits(c->event) ? 0 : c->id};
    space_refresh(s);
    if (c->rebuild) {
        c->version_id =
            s->state == LC_SWITCHING || s->state == LC_REBUILDING ? s->beside.id : s->version.id;
        if (!c->version_id || s->state == LC_DELETING)
            return err_set(err, EPERM, "%s", lifecycle_refusal(s->state, c->event));
        life_build_forget(s->r, s->id, c->version_id);
        s->build_anew = true;
        if (s->state == LC_PAUSED || s->state == LC_STOPPED)
            c->event = EV_START;
    }
    if (c->event == EV_DEPLOY) {
        int n = site_version(s->r, s->id, c->version_id, &v, err);
        if (n == 0)
            return err_set(err, ENOENT, "there is no such version");
        if (n == 1)
            n = recipe_check_sdk(v.sdk, err);
        if (n < 0)
            return n;
        what.version = &v;
    }
    event_add(s->r, s, 0, "command", "%s", c->rebuild ? "rebuild" : lifecycle_event_name(c->event));
    c->begun = waits(c->event);
    /* The new version's worker may have begun before what the restart is for (a secret). */
    enum lc_event event = c->event;
    if (event == EV_RESTART && s->state == LC_SWITCHING) {
        v = s->beside;
        what.version = &v;
        event = EV_DEPLOY;
    }
    int n = space_event(s, event, &what, err);
    if (n == -EPERM) {
        c->begun = false;
    } else if (n < 0) { /* it was done, and could not be written down */
        if (what.command_id)
            keep(s->r, c->id, 0, "");
        n = 0;
    }
    return n;
}

void commands_progress(struct space *s)
{
    struct runner *r = s->r;
    while (s->commands) {
        struct command *c = s->commands;
        if (c->begun) {
            if (c->event == EV_DELETE || s->workers)
                return; /* delete.c answers once the files are gone, too */
            answer(r, c->id, 0, "");
            pop(s);
            continue;
        }
        if (r->stopping)
            return;
        struct err err = {0};
        uint64_t id = c->id;
        if (apply(s, c, &err) < 0) {
            answer(r, id, err.code, err.msg);
            pop(s);
        } else if (!c->begun) {
            control_command_done(r, id, 0, "");
            pop(s);
        } else if (c->event == EV_DELETE) {
            if (!s->workers)
                delete_files(s);
            return;
        }
    }
}

void commands_fail(struct space *s, int code, const char *message)
{
    if (!s->commands)
        return;
    answer(s->r, s->commands->id, code, message);
    pop(s);
}

void commands_record_deleted(struct space *s)
{
    for (struct command *c = s->commands; c; c = c->next) {
        bool is_delete = c->event == EV_DELETE;
        life_command_done(s->r, c->id, is_delete ? 0 : ENOENT, is_delete ? "" : "it was deleted",
                          NULL);
    }
}

void commands_answer_deleted(struct space *s)
{
    while (s->commands) {
        bool is_delete = s->commands->event == EV_DELETE;
        control_command_done(s->r, s->commands->id, is_delete ? 0 : ENOENT,
                             is_delete ? "" : "it was deleted");
        pop(s);
    }
}

static void enqueue(struct runner *r, const struct site_command *row)
{
    enum lc_event event;
    struct err err = {0};
    if (strcmp(row->verb, "refresh") == 0) { /* of its row; visitors may be concerned */
        struct space *known = space_get(r, row->space_id, NULL, NULL);
        if (known) {
            space_refresh(known);
            gateway_route(known);
        }
        answer(r, row->id, 0, "");
        return;
    }
    bool rebuild = strcmp(row->verb, "rebuild") == 0;
    if (!event_of(rebuild ? "deploy" : row->verb, &event)) {
        err_set(&err, EINVAL, "there is no command \"%s\"", row->verb);
        answer(r, row->id, err.code, err.msg);
        return;
    }
    struct space *s = space_get(r, row->space_id, NULL, &err);
    if (!s) { /* deleting what is not there is done already */
        bool gone = err.code == ENOENT && event == EV_DELETE;
        answer(r, row->id, gone ? 0 : err.code, gone ? "" : err.msg);
        return;
    }
    struct command *c = calloc(1, sizeof(*c));
    if (!c) {
        answer(r, row->id, ENOMEM, "the server is out of memory");
        return;
    }
    *c = (struct command){
        .id = row->id, .version_id = row->version_id, .event = event, .rebuild = rebuild};
    struct command **last = &s->commands;
    while (*last)
        last = &(*last)->next;
    *last = c;
    commands_progress(s);
}

void commands_poll(struct runner *r)
{
    struct site_command row;
    struct err err = {0};
    int n = 0;
    while (!r->stopping && (n = site_command_after(r, r->last_command_id, &row, &err)) == 1) {
        r->last_command_id = row.id;
        if (!life_command_is_done(r, row.id))
            enqueue(r, &row);
    }
    if (n < 0 && n != -ENOENT)
        log_warn(NULL, "commands.read", "%s", err.msg);
}
