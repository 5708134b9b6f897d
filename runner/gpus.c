#include "runner/gpus.h"

#include "common/conf.h"
#include "common/flavours.h"
#include "common/gpus.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/control.h"
#include "runner/events.h"
#include "runner/gateway.h"
#include "runner/idle.h"
#include "runner/life.h"
#include "runner/public.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/start_list.h"
#include "runner/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAMED 4 /* Spaces that a reason names */

/* `list` has paths with a blank between them. */
static bool has(const char *list, const char *path)
{
    size_t len = strlen(path);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, " ");
        if (n == len && strncmp(p, path, n) == 0)
            return true;
        p += n + (p[n] == ' ');
    }
    return false;
}

static bool is_held(const struct runner *r, const char *path)
{
    for (const struct worker *w = r->workers; w; w = w->next)
        if (w->n_gpus && has(w->gpus, path))
            return true;
    return false;
}

void gpus_look(struct runner *r)
{
    struct gpu_list all, usable = {0};
    uint64_t held = 0, held_of_these = 0;
    gpus_find(conf_of(r)->hardware_gpus, &all);
    for (unsigned i = 0; i < all.n; i++) {
        if (gpu_usable(all.path[i], NULL) < 0)
            continue;
        memcpy(usable.path[usable.n++], all.path[i], GPU_PATH);
        held_of_these += is_held(r, all.path[i]);
    }
    for (const struct worker *w = r->workers; w; w = w->next)
        held += w->n_gpus;
    r->gpus = usable;
    /* what workers have that was configured otherwise, or is not to be seen any more, is theirs */
    r->gpu_line.max = usable.n + (held > held_of_these ? held - held_of_these : 0);
}

static int warn_of(void *arg, const struct flavour *f)
{
    const struct runner *r = arg;
    if (f->gpus > r->gpus.n)
        log_warn(NULL, "runner.gpus",
                 "hardware.flavours: %s asks for %u GPU%s, and there %s %u: its Spaces will not "
                 "start (vitrine check says more)",
                 f->name, f->gpus, f->gpus == 1 ? "" : "s", r->gpus.n == 1 ? "is" : "are",
                 r->gpus.n);
    return 0;
}

void gpus_begin(struct runner *r)
{
    struct gpu_list all;
    char list[GPUS_MAX * GPU_PATH] = "";
    const struct conf *c = conf_of(r);
    gpus_look(r);
    if (!flavours_have_gpu(c))
        return;
    gpus_find(c->hardware_gpus, &all);
    for (unsigned i = 0; i < all.n; i++) {
        struct err err = {0};
        if (gpu_usable(all.path[i], &err) < 0)
            log_warn(NULL, "runner.gpus", "%s", err.msg);
    }
    for (unsigned i = 0; i < r->gpus.n; i++) {
        size_t len = strlen(list);
        snprintf(list + len, sizeof(list) - len, "%s%s", len ? " " : "", r->gpus.path[i]);
    }
    log_info(NULL, "runner.gpus", "workers may be given %u: %s", r->gpus.n, list);
    (void)flavours_each(c->hardware_flavours, warn_of, r, NULL);
}

/* ---- who has them, in words */

struct holders {
    const struct space *named[NAMED];
    unsigned n_named, others; /* Spaces that anybody may know of, and those that are not named */
    bool own, ending;
};

static void count_holder(struct holders *h, const struct worker *w, const struct space *asks)
{
    if (w->state == WORKER_STOPPING) {
        h->ending = true;
        return;
    }
    if (w->space == asks) {
        h->own = true;
        return;
    }
    for (unsigned i = 0; i < h->n_named; i++)
        if (h->named[i] == w->space)
            return;
    if (w->space->is_private || h->n_named == NAMED)
        h->others++;
    else
        h->named[h->n_named++] = w->space;
}

static void add_text(char *out, size_t size, const char *separator, const char *text)
{
    size_t len = strlen(out);
    snprintf(out + len, size - len, "%s%s", len ? separator : "", text);
}

/* "a/b, c/d and 2 more" */
static void name_holders(const struct holders *h, char *out, size_t size)
{
    char more[64];
    out[0] = '\0';
    for (unsigned i = 0; i < h->n_named; i++)
        add_text(out, size, i + 1 == h->n_named && !h->others ? " and " : ", ",
                 h->named[i]->full_name);
    if (!h->others)
        return;
    snprintf(more, sizeof(more),
             h->n_named       ? "%u more"
             : h->others == 1 ? "a Space"
                              : "%u Spaces",
             h->others);
    add_text(out, size, " and ", more);
}

/* For visitors and owners alike: a private Space is not named. */
static void why(const struct space *s, char *out, size_t size)
{
    const struct runner *r = s->r;
    struct holders h = {0};
    char by[600], which[128];
    for (const struct worker *w = r->workers; w; w = w->next)
        if (w->n_gpus && w->space)
            count_holder(&h, w, s);
    name_holders(&h, by, sizeof(by));
    unsigned long long all = r->gpu_line.max, need = s->gpu_claim.need,
                       free_ones = all > r->gpu_line.taken ? all - r->gpu_line.taken : 0;
    if (free_ones)
        snprintf(which, sizeof(which), "only %llu of the %llu GPUs of this server %s free",
                 free_ones, all, free_ones == 1 ? "is" : "are");
    else if (all == 1)
        snprintf(which, sizeof(which), "the GPU of this server is in use");
    else
        snprintf(which, sizeof(which), "all %llu GPUs of this server are in use", all);
    const char *then = need == 1 ? "it starts as soon as one is free"
                                 : "it starts as soon as it has what it needs";
    if (*by && free_ones)
        snprintf(out, size, "%s, %.250s %s the others; %s", which, by,
                 h.n_named + h.others == 1 ? "has" : "have", then);
    else if (*by)
        snprintf(out, size, "%s, by %.250s; %s", which, by, then);
    else if (h.own)
        snprintf(out, size, "%s, by its earlier version; it starts when nobody uses that one",
                 which);
    else if (h.ending)
        snprintf(out, size, "it waits for a GPU that is being given back");
    else
        snprintf(out, size, "%s; %s", which, then);
}

/* ---- the line */

/* More than there are: nobody's end would help. */
static void hold_up(struct space *s)
{
    char reason[sizeof(s->reason)];
    unsigned need = (unsigned)s->gpu_claim.need;
    snprintf(reason, sizeof(reason),
             "its hardware has %u GPU%s, and this server can give workers %llu: choose other "
             "hardware in its settings",
             need, need == 1 ? "" : "s", (unsigned long long)s->r->gpu_line.max);
    event_add(s->r, s, 0, "worker.held-up", "%s", reason);
    space_held_up(s, reason);
}

bool gpus_take(struct space *s)
{
    struct runner *r = s->r;
    struct err err = {0};
    unsigned need = 0;
    const struct version *v = s->state == LC_SWITCHING ? &s->beside : &s->version;
    if (s->gpus_taken || strcmp(v->sdk, "static") == 0)
        return true;
    if (site_gpus(r, s->id, &need, &err) < 0) {
        event_add(r, s, 0, "worker.held-up", "%s", err.msg);
        space_held_up(s, public_reason(err.code, err.msg));
        return false;
    }
    s->gpu_claim.need = need;
    if (!need)
        return true;
    gpus_look(r);
    if (need > r->gpu_line.max) {
        hold_up(s);
        return false;
    }
    if (budget_take(&r->gpu_line, &s->gpu_claim)) {
        s->gpus_taken = need;
        return true;
    }
    s->gpu_since_ms = mono_ms();
    why(s, s->reason, sizeof(s->reason));
    life_space_save(r, s, NULL);
    idle_make_room(r);
    return false;
}

void gpus_taken(struct space *s)
{
    s->gpus_taken = (unsigned)s->gpu_claim.need;
}

void gpus_leave(struct space *s)
{
    budget_leave(&s->r->gpu_line, &s->gpu_claim);
    budget_release(&s->r->gpu_line, s->gpus_taken);
    s->gpus_taken = 0;
}

uint64_t gpus_short(const struct runner *r)
{
    const struct budget *b = &r->gpu_line;
    uint64_t free_ones = b->max > b->taken ? b->max - b->taken : 0;
    return b->first && b->first->need > free_ones ? b->first->need - free_ones : 0;
}

void gpus_tell(struct runner *r)
{
    for (struct budget_claim *c = r->gpu_line.first, *next; c; c = next) {
        struct space *s = c->arg;
        char now[sizeof(s->reason)];
        next = c->next;
        if (c->need > r->gpu_line.max) { /* some were taken out; who is behind must not wait, too */
            budget_leave(&r->gpu_line, c);
            hold_up(s);
            continue;
        }
        why(s, now, sizeof(now));
        if (strcmp(now, s->reason) == 0)
            continue;
        snprintf(s->reason, sizeof(s->reason), "%s", now);
        s->unsaved = life_space_save(r, s, NULL) < 0;
        gateway_route(s);
        control_changed(s);
    }
}

/* ---- a worker's */

static unsigned count(const char *list)
{
    unsigned n = 0;
    while (*(list += strspn(list, " "))) {
        n++;
        list += strcspn(list, " ");
    }
    return n;
}

int gpus_give(struct worker *w, struct err *err)
{
    struct runner *r = w->r;
    unsigned want = w->space->gpus_taken, n = 0;
    w->space->gpus_taken = 0;
    w->n_gpus = want; /* taken, whatever comes */
    for (unsigned i = 0; n < want && i < r->gpus.n; i++) {
        if (is_held(r, r->gpus.path[i]) || gpu_usable(r->gpus.path[i], NULL) < 0)
            continue;
        add_text(w->gpus, sizeof(w->gpus), " ", r->gpus.path[i]);
        n++;
    }
    return n == want ? 0 : err_set(err, EAGAIN, "a GPU that was there is gone");
}

void gpus_give_back(struct worker *w)
{
    if (!w->n_gpus)
        return;
    budget_release(&w->r->gpu_line, w->n_gpus);
    w->n_gpus = 0;
    w->gpus[0] = '\0';
    gpus_look(w->r);
}

void gpus_adopt(struct worker *w, const char *gpus)
{
    snprintf(w->gpus, sizeof(w->gpus), "%s", gpus);
    w->n_gpus = count(w->gpus);
    if (!w->n_gpus)
        return;
    budget_occupy(&w->r->gpu_line, w->n_gpus);
    gpus_look(w->r);
}

static void fill_one(struct start_list *l, const char *path)
{
    char place[GPU_PATH];
    gpu_place(path, place);
    start_list_add(l, "dv:%s:%s", path, place);
}

int gpus_fill(struct proto_start *start, const struct worker *w)
{
    struct start_list l = START_LIST(start, mounts);
    struct gpu_list common;
    char path[GPU_PATH];
    for (const char *p = w->gpus; *p;) {
        size_t n = strcspn(p, " ");
        snprintf(path, sizeof(path), "%.*s", n < sizeof(path) ? (int)n : 0, p);
        fill_one(&l, path);
        p += n + (p[n] == ' ');
    }
    gpus_common(conf_of(w->r)->hardware_gpu_common, w->gpus, &common);
    for (unsigned i = 0; i < common.n; i++)
        fill_one(&l, common.path[i]);
    return l.failed;
}
