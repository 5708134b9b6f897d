/* Builds: their beginning, who of them is next, and their being called off. */
#include "runner/build.h"

#include "common/conf.h"
#include "runner/build_index.h"
#include "runner/build_own.h"
#include "runner/control.h"
#include "runner/gateway.h"
#include "runner/indexes.h"
#include "runner/life.h"
#include "runner/runner.h"
#include "runner/space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_BYTES (4 << 20)
#define FOUND_BYTES (32 << 20)

/* ---- the queue ---- */

/* The Space's reason, which people read while it is built. */
static void explain(struct build *b, const char *text)
{
    struct space *s = b->space;
    if (!space_is_building(s) || strcmp(s->reason, text) == 0)
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
            b->phase == PHASE_INSTALL || build_is_sealing(b));
}

struct build *build_equal_one(const struct build *b)
{
    for (struct build *o = b->r->builds; o; o = o->next)
        if (o != b && !o->over && strcmp(o->key, b->key) == 0 &&
            (o->phase == PHASE_INSTALL || o->phase == PHASE_SEAL))
            return o;
    return NULL;
}

void build_queue(struct runner *r)
{
    uint64_t running = 0;
    unsigned before = 0;
    if (r->stopping)
        return;
    for (struct build *b = r->builds; b; b = b->next)
        running += has_slot(b);
    for (struct build *b = r->builds, *next; b; b = next) {
        next = b->next;
        bool equal_ended = b->phase == PHASE_EQUAL && !build_equal_one(b);
        if (b->over || b->cancelled || (b->phase != PHASE_QUEUED && !equal_ended))
            continue;
        if (running < conf_of(r)->build_parallel) {
            running++;
            if (equal_ended) {
                build_go_on_later(b, 0);
            } else {
                explain(b, "");
                build_watch(b);
                build_debs_begin(b);
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
    build_limits_init(b);
    build_steps_init(b);
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
    build_start_step(b);
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
    if (!build_is_sealing(b)) /* that one is nearly done, and may be of use to somebody */
        build_give_up(b);
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
