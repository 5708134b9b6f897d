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
#include <stdlib.h>
#include <string.h>

#define NOTES_A_MINUTE 4 /* about one worker */
#define ASK_ID_BITS 48   /* of a gateway's own ask_id; its serial goes above them, on to webui */
#define ASK_ID_MASK ((UINT64_C(1) << ASK_ID_BITS) - 1)

static void route_to(struct gateway *g, struct space *s)
{
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
            idle_routed(s->cur, g);
        } else { /* its end is about to be noticed */
            struct log_ctx ctx = {.space = s->full_name, .worker_id = s->cur->id};
            log_warn(&ctx, "worker.dial", "%s", err.msg);
        }
    }
    /* it asks faster than it reads: without the worker it will ask again, by a WAKE */
    if (link_send(&g->link, PROTO_ROUTE, &m, dial >= 0 ? &dial : NULL, dial >= 0) == -ENOBUFS &&
        dial >= 0) {
        m.worker_id = 0;
        m.port = 0;
        link_send(&g->link, PROTO_ROUTE, &m, NULL, 0);
    }
}

void gateway_route(struct space *s)
{
    for (struct gateway *g = s->r->gateways; g; g = g->next)
        route_to(g, s);
}

static void route_none_to(struct gateway *g, const char *label)
{
    struct proto_route m = {.stage = STAGE_NONE,
                            .flags = site_label_moved(g->r, label) ? ROUTE_MOVED : 0};
    snprintf(m.label, sizeof(m.label), "%s", label);
    link_send(&g->link, PROTO_ROUTE, &m, NULL, 0);
}

void gateway_route_none(struct runner *r, const char *label)
{
    for (struct gateway *g = r->gateways; g; g = g->next)
        route_none_to(g, label);
}

void gateway_wait_line(struct space *s, const char *line)
{
    struct proto_wait_line m = {.space_id = s->id};
    snprintf(m.text, sizeof(m.text), "%s", line);
    for (struct gateway *g = s->r->gateways; g; g = g->next)
        link_send(&g->link, PROTO_WAIT_LINE, &m, NULL, 0);
}

static void on_resolve(struct gateway *g, const char *label)
{
    struct err err = {0};
    struct space *s = space_by_label(g->r, label, &err);
    if (s) {
        route_to(g, s);
        return;
    }
    if (err.code != ENOENT)
        log_error(NULL, "gateway.resolve", "%s", err.msg);
    route_none_to(g, label);
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

/* Who may see what is the site's to say. */
static void on_token_ask(struct gateway *g, struct proto_token_ask *m)
{
    m->ask_id = (m->ask_id & ASK_ID_MASK) | (uint64_t)g->serial << ASK_ID_BITS;
    link_send(&g->r->webui, PROTO_TOKEN_ASK, m, NULL, 0);
    explicit_bzero(m->token, sizeof(m->token));
}

void gateway_token_answer(struct runner *r, const struct proto_token_answer *m)
{
    struct proto_token_answer answer = *m;
    answer.ask_id &= ASK_ID_MASK;
    for (struct gateway *g = r->gateways; g; g = g->next)
        if (g->serial == m->ask_id >> ASK_ID_BITS)
            link_send(&g->link, PROTO_TOKEN_ANSWER, &answer, NULL, 0);
}

static void on_msg(void *arg, struct proto_msg *m)
{
    struct gateway *g = arg;
    switch (m->type) {
    case PROTO_RESOLVE:
        on_resolve(g, m->u.resolve.label);
        break;
    case PROTO_WAKE:
        on_wake(g->r, m->u.wake.space_id);
        break;
    case PROTO_TOKEN_ASK:
        on_token_ask(g, &m->u.token_ask);
        break;
    case PROTO_SLEEP_ANSWER:
        idle_answer(g, &m->u.sleep_answer);
        break;
    case PROTO_GATEWAY_NOTE:
        on_note(g->r, &m->u.gateway_note);
        break;
    case PROTO_GATEWAY_STAT:
        metrics_gateway_stat(g->r, g, &m->u.gateway_stat);
        break;
    case PROTO_TALLY:
        metrics_tally(g->r, g, &m->u.tally);
        break;
    case PROTO_COUNTERS:
        idle_counters(g, &m->u.counters);
        break;
    default:
        log_warn(NULL, "gateway.message", "unexpected %s", proto_type_name(m->type));
    }
}

static void on_gone(void *arg, const char *why)
{
    struct gateway *g = arg;
    struct runner *r = g->r;
    struct gateway **p = &r->gateways;
    log_info(NULL, "gateway.gone", "%s", why);
    while (*p != g)
        p = &(*p)->next;
    *p = g->next;
    metrics_gateway_gone(r, g);
    if (!r->gateways)
        r->gateway_gone_ms = mono_ms();
    idle_gateway_gone(g);
    free(g);
}

static const struct gateway *by_index(const struct runner *r, unsigned index)
{
    const struct gateway *g = r->gateways;
    while (g && g->index != index)
        g = g->next;
    return g;
}

static const struct gateway *by_serial(const struct runner *r, uint16_t serial)
{
    const struct gateway *g = r->gateways;
    while (g && g->serial != serial)
        g = g->next;
    return g;
}

void gateway_connect(struct runner *r, int fd)
{
    struct err err = {0};
    unsigned index = 0;
    while (index < GATEWAYS_MAX && by_index(r, index))
        index++;
    struct gateway *g = index < GATEWAYS_MAX ? calloc(1, sizeof(*g)) : NULL;
    if (!g) {
        log_error(NULL, "gateway.link", "no room for one more gateway");
        close(fd);
        return;
    }
    g->r = r;
    g->index = index;
    do /* not one that was in use just now: webui may still answer somebody who is gone */
        g->serial = ++r->last_gateway;
    while (by_serial(r, g->serial));
    g->link = (struct link){.on_msg = on_msg, .on_gone = on_gone, .arg = g};
    if (link_open(&g->link, r->loop, fd, &err) < 0) {
        log_error(NULL, "gateway.link", "%s", err.msg);
        free(g);
        return;
    }
    bool first = !r->gateways;
    g->next = r->gateways;
    r->gateways = g;
    r->gateway_gone_ms = 0;
    if (first)
        idle_gateway_first(r);
}
