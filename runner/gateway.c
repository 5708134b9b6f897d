#include "runner/gateway.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/events.h"
#include "runner/idle.h"
#include "runner/metrics.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NOTES_A_MINUTE 4 /* about one worker */

void gateway_route(struct space *s)
{
    struct runner *r = s->r;
    if (!link_is_open(&r->gateway))
        return;
    struct proto_route m = {
        .space_id = s->id, .stage = lifecycle_stage(s->state), .wakes = lifecycle_wakes(s->state)};
    snprintf(m.label, sizeof(m.label), "%s", s->label);
    snprintf(m.space, sizeof(m.space), "%s", s->full_name);
    snprintf(m.title, sizeof(m.title), "%s", s->version.title);
    snprintf(m.emoji, sizeof(m.emoji), "%s", s->version.emoji);
    snprintf(m.message, sizeof(m.message), "%s", s->reason);
    const struct version *v = s->cur ? &s->cur->version : &s->version;
    m.flags = (s->is_private ? ROUTE_PRIVATE : 0) | (v->no_embedding ? ROUTE_NO_EMBEDDING : 0);
    m.coep = v->headers[HEADER_COEP];
    m.coop = v->headers[HEADER_COOP];
    m.corp = v->headers[HEADER_CORP];
    _cleanup_close_ int dial = -1;
    struct err err = {0};
    if (s->cur) {
        dial = worker_dial(s->cur, &err);
        if (dial >= 0) {
            m.worker_id = s->cur->id;
            m.port = s->cur->version.port;
        } else { /* its end is about to be noticed */
            struct log_ctx ctx = {.space = s->full_name, .worker_id = s->cur->id};
            log_warn(&ctx, "worker.dial", "%s", err.msg);
        }
    }
    /* it asks faster than it reads: without the worker it will ask again, by a WAKE */
    if (link_send(&r->gateway, PROTO_ROUTE, &m, dial >= 0 ? &dial : NULL, dial >= 0) == -ENOBUFS &&
        dial >= 0) {
        m.worker_id = 0;
        m.port = 0;
        link_send(&r->gateway, PROTO_ROUTE, &m, NULL, 0);
    }
}

void gateway_route_none(struct runner *r, const char *label)
{
    struct proto_route m = {.stage = STAGE_NONE,
                            .flags = site_label_moved(r, label) ? ROUTE_MOVED : 0};
    snprintf(m.label, sizeof(m.label), "%s", label);
    link_send(&r->gateway, PROTO_ROUTE, &m, NULL, 0);
}

void gateway_wait_line(struct space *s, const char *line)
{
    struct proto_wait_line m = {.space_id = s->id};
    snprintf(m.text, sizeof(m.text), "%s", line);
    link_send(&s->r->gateway, PROTO_WAIT_LINE, &m, NULL, 0);
}

static void on_resolve(struct runner *r, const char *label)
{
    struct err err = {0};
    struct space *s = space_by_label(r, label, &err);
    if (s) {
        gateway_route(s);
        return;
    }
    if (err.code != ENOENT)
        log_error(NULL, "gateway.resolve", "%s", err.msg);
    gateway_route_none(r, label);
}

static void on_wake(struct runner *r, uint64_t space_id)
{
    struct space *s = r->stopping ? NULL : space_get(r, space_id, NULL, NULL);
    if (!s)
        return;
    s->watched = true;
    space_event(s, EV_WAKE, &(struct space_what){0}, NULL);
    space_watch(s);
}

/* A demo that answers badly does so to each request: a few are said, the others are counted. */
static void on_note(struct runner *r, const struct proto_gateway_note *m)
{
    struct worker *w = worker_by_id(r, m->worker_id);
    if (!w || !w->space)
        return;
    gateway_tick(r);
    if (w->notes >= NOTES_A_MINUTE) {
        w->notes_unsaid++;
        return;
    }
    if (!w->notes++)
        w->notes_since_ms = mono_ms();
    event_add(r, w->space, w->id, "gateway.note", "%s", m->text);
}

void gateway_tick(struct runner *r)
{
    for (struct worker *w = r->workers; w; w = w->next) {
        if (!w->notes || mono_ms() - w->notes_since_ms < 60000)
            continue;
        if (w->notes_unsaid)
            event_add(r, w->space, w->id, "gateway.note", "... and %u more within a minute",
                      w->notes_unsaid);
        w->notes = w->notes_unsaid = 0;
    }
}

static void on_msg(void *arg, struct proto_msg *m)
{
    struct runner *r = arg;
    switch (m->type) {
    case PROTO_RESOLVE:
        on_resolve(r, m->u.resolve.label);
        break;
    case PROTO_WAKE:
        on_wake(r, m->u.wake.space_id);
        break;
    case PROTO_TOKEN_ASK: /* who may see what is the site's to say */
        link_send(&r->webui, PROTO_TOKEN_ASK, &m->u.token_ask, NULL, 0);
        explicit_bzero(m->u.token_ask.token, sizeof(m->u.token_ask.token));
        break;
    case PROTO_SLEEP_ANSWER:
        idle_answer(r, &m->u.sleep_answer);
        break;
    case PROTO_GATEWAY_NOTE:
        on_note(r, &m->u.gateway_note);
        break;
    case PROTO_GATEWAY_STAT:
        metrics_gateway_stat(r, &r->gateway, &m->u.gateway_stat);
        break;
    case PROTO_TALLY:
        metrics_tally(r, &r->gateway, &m->u.tally);
        break;
    case PROTO_COUNTERS:
        idle_counters(r, &m->u.counters);
        break;
    default:
        log_warn(NULL, "gateway.message", "unexpected %s", proto_type_name(m->type));
    }
}

static void on_gone(void *arg, const char *why)
{
    struct runner *r = arg;
    log_info(NULL, "gateway.gone", "%s", why);
    metrics_gateway_gone(r, &r->gateway);
    r->gateway_gone_ms = mono_ms();
    idle_gateway_changed(r);
}

void gateway_connect(struct runner *r, int fd)
{
    metrics_gateway_gone(r, &r->gateway); /* the one that it replaces */
    r->gateway.on_msg = on_msg;
    r->gateway.on_gone = on_gone;
    r->gateway.arg = r;
    struct err err = {0};
    if (link_open(&r->gateway, r->loop, fd, &err) < 0) {
        log_error(NULL, "gateway.link", "%s", err.msg);
        return;
    }
    r->gateway_gone_ms = 0;
    idle_gateway_changed(r);
}
