#include "runner/pack.h"

#include "common/conf.h"
#include "common/log.h"
#include "runner/job.h"
#include "runner/lifecycle.h"
#include "runner/runner.h"
#include "runner/space.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUND_EACH_MS (24ull * 3600 * 1000)
#define NEXT_MS 1000 /* between two of a round */

static void on_due(void *arg)
{
    struct space *s = arg;
    struct err err = {0};
    if (s->r->stopping || s->state == LC_DELETING)
        return;
    if (s->jobs || job_pack_runs(s->r))
        pack_later(s);
    else if (job_pack_begin(s, &err) < 0)
        log_warn(NULL, "repo.pack", "%s", err.msg);
}

void pack_later(struct space *s)
{
    s->pack_timer.fn = on_due;
    s->pack_timer.arg = s;
    loop_timer_set(s->r->loop, &s->pack_timer, conf_of(s->r)->upload_pack_after);
}

bool pack_is_due(const struct space *s)
{
    return loop_timer_is_set(&s->pack_timer);
}

void pack_ended(struct space *s, bool gave_way)
{
    if (gave_way && !s->r->stopping && s->state != LC_DELETING)
        pack_later(s);
}

/* The next repository of the round: its Space's id, or 0 at the end. */
static uint64_t next_of_round(struct runner *r)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/repos", r->data);
    if (!r->pack_round)
        r->pack_round = opendir(path);
    for (struct dirent *e; r->pack_round && (e = readdir(r->pack_round));) {
        uint64_t id;
        char dot;
        if (sscanf(e->d_name, "%" SCNu64 "%c", &id, &dot) == 2 && id && dot == '.')
            return id;
    }
    pack_end(r);
    return 0;
}

static void on_round(void *arg)
{
    struct runner *r = arg;
    if (r->stopping)
        return;
    uint64_t id = job_pack_runs(r) ? 0 : next_of_round(r);
    bool goes_on = r->pack_round || job_pack_runs(r);
    struct space *s = id ? space_get(r, id, NULL, NULL) : NULL;
    if (s && !s->jobs && !pack_is_due(s))
        on_due(s);
    loop_timer_set(r->loop, &r->pack_timer, goes_on ? NEXT_MS : ROUND_EACH_MS);
}

void pack_begin(struct runner *r)
{
    r->pack_timer = (struct loop_timer){.fn = on_round, .arg = r};
    loop_timer_set(r->loop, &r->pack_timer, conf_of(r)->upload_pack_after);
}

void pack_end(struct runner *r)
{
    if (r->pack_round)
        closedir(r->pack_round);
    r->pack_round = NULL;
}
