/* A gateway is replaced without a lost request: another is started beside it, and only when that
 * one is ready (in its sandbox, with a way to the runner and to the site) it gets the listening
 * socket, which is ours: a connection waits in its queue, whoever accepts. Then the one before is
 * told to drain (gateway/drain.h), and leaves when its last visitor has left, or at the deadline.
 * What does not become ready is ended, and nothing has changed. */
#include "supervise_own.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>

#define COMING_MS 15000       /* until it is ready */
#define LEAVING_EXTRA_MS 5000 /* beyond its deadline, which it keeps by itself */

static int free_place(const struct supervisor *v)
{
    for (int i = LEAVING; i < N_PLACES; i++)
        if (!v->programs[i].pid)
            return i;
    return -1;
}

/* Of those that leave, the one whose time is over first. */
static int oldest(const struct supervisor *v)
{
    int found = -1;
    for (int i = LEAVING; i < N_PLACES; i++) {
        const struct program *p = &v->programs[i];
        if (p->pid && !p->term_sent && (found < 0 || p->until_ms < v->programs[found].until_ms))
            found = i;
    }
    return found;
}

/* There is a place for the one that serves now, once it leaves. */
static bool make_place(struct supervisor *v)
{
    if (free_place(v) >= 0)
        return true;
    int i = oldest(v);
    if (i >= 0) {
        log_warn(NULL, "up.gateway",
                 "%d earlier gateways still have visitors: the oldest one (process %d, %u "
                 "connections) is ended",
                 LEAVING_MAX, (int)v->programs[i].pid, v->programs[i].connections);
        program_terminate(v, i);
    }
    return false;
}

int gateways_restart(struct supervisor *v, struct err *err)
{
    struct program *coming = &v->programs[COMING];
    if (v->phase != PHASE_RUN)
        return err_set(err, ESHUTDOWN, "the system is being stopped");
    if (coming->pid)
        return err_set(err, EBUSY, "a new gateway is being started already; try again in a moment");
    int r = program_start(v, COMING, err);
    if (r < 0)
        return err_prefix(err, -r, "no new gateway, the old one goes on serving");
    coming->until_ms = mono_ms() + COMING_MS;
    make_place(v);
    return 0;
}

static void give_up(struct supervisor *v, int code, const char *why)
{
    char text[300];
    snprintf(text, sizeof(text),
             "the new gateway %s before it was ready; the old one goes on serving (the log of "
             "`vitrine up` says more)",
             why);
    log_error(NULL, "up.gateway", "%s", text);
    upsock_tell(v, code, text);
}

/* The one that served has nothing to do with new visitors any more. */
static void begin_leaving(struct supervisor *v, int place)
{
    struct program *p = &v->programs[place];
    struct proto_sup_drain m = {.timeout_ms = v->s->conf->gateway_drain_timeout};
    struct err err = {0};
    p->until_ms = mono_ms() + m.timeout_ms;
    if (proto_send(p->sup_fd, PROTO_SUP_DRAIN, &m, NULL, 0, &err) < 0) {
        log_warn(NULL, "up.gateway", "the old gateway cannot be told to leave, and is ended: %s",
                 err.msg);
        program_terminate(v, place);
    }
}

void gateways_ready(struct supervisor *v)
{
    struct program *coming = &v->programs[COMING], *serving = &v->programs[GATEWAY];
    struct err err = {0};
    if (v->phase != PHASE_RUN)
        return;
    int place = free_place(v);
    if (serving->pid && place < 0) {
        kill(coming->pid, SIGKILL); /* its end is told by gateways_ended */
        return;
    }
    if (program_listen(v, COMING, &err) < 0) {
        log_warn(NULL, "up.gateway", "%s", err.msg);
        kill(coming->pid, SIGKILL);
        return;
    }
    struct program old = *serving;
    *serving = *coming;
    program_clear(coming);
    log_info(NULL, "up.gateway", "process %d serves from now on", (int)serving->pid);
    if (old.pid) {
        v->programs[place] = old;
        begin_leaving(v, place);
    }
    upsock_tell(v, 0, "");
}

void gateways_ended(struct supervisor *v, int place, const char *how)
{
    v->programs[place].connections = 0;
    if (place == COMING)
        give_up(v, EIO, how);
}

void gateways_clock(struct supervisor *v, uint64_t now, uint64_t *next)
{
    for (int i = COMING; i < N_PLACES; i++) {
        struct program *p = &v->programs[i];
        uint64_t end_ms = p->until_ms + (i == COMING ? 0 : LEAVING_EXTRA_MS);
        if (!p->pid)
            continue;
        if (end_ms <= now) {
            if (i == COMING)
                log_warn(NULL, "up.gateway", "the new gateway is not ready in time");
            kill(p->pid, SIGKILL);
            p->until_ms = now + COMING_MS;
            end_ms = p->until_ms;
        }
        if (end_ms < *next)
            *next = end_ms;
    }
}

bool gateways_any(const struct supervisor *v)
{
    for (int i = 0; i < N_PLACES; i++)
        if (program_kind(i) == GATEWAY && v->programs[i].pid)
            return true;
    return false;
}
