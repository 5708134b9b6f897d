#include "runner/prune.h"

#include "common/conf.h"
#include "common/log.h"
#include "common/store.h"
#include "common/util.h"
#include "runner/runner.h"

#include <errno.h>

#define EVENTS_KEPT 1000 /* of each Space, and for ... */
#define EVENTS_KEPT_MS (30ull * 24 * 3600 * 1000)
#define WORKERS_KEPT 100 /* ended ones of each Space, at least */
#define BUILDS_KEPT 200
#define BATCH 250 /* rows a step */
#define SPACES_A_STEP 16

static int64_t next_space(struct runner *r, int64_t after, struct err *err)
{
    struct store_stmt *q = store_query(
        r->life, err, "SELECT MIN(space_id) FROM events WHERE space_id > ?", "i", after);
    if (!q || store_step(q, err) != 1)
        return 0;
    int64_t id = store_int(q, 0);
    store_reset(q);
    return id;
}

/* The row after which `kept` newer ones follow is the newest that goes. */
static int prune_events(struct runner *r, int64_t space_id, int64_t most, struct err *err)
{
    return store_exec(r->life, err,
                      "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE space_id = ?"
                      " AND id <= (SELECT id FROM events WHERE space_id = ? ORDER BY id DESC"
                      " LIMIT 1 OFFSET ?) ORDER BY id LIMIT ?)",
                      "iiii", space_id, space_id, (int64_t)EVENTS_KEPT, most);
}

static int prune_workers(struct runner *r, int64_t space_id, int64_t most, struct err *err)
{
    const struct conf *c = conf_of(r);
    uint64_t kept = WORKERS_KEPT;
    if (kept < c->limits_logs_kept)
        kept = c->limits_logs_kept;
    if (kept < c->lifecycle_crash_limit)
        kept = c->lifecycle_crash_limit;
    return store_exec(r->life, err,
                      "DELETE FROM workers WHERE id IN (SELECT id FROM workers WHERE space_id = ?"
                      " AND ended_ms IS NOT NULL AND id <= (SELECT id FROM workers WHERE"
                      " space_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id LIMIT ?)",
                      "iiii", space_id, space_id, (int64_t)kept, most);
}

/* Of a version whose rows are gone a start finds out anew what it needs. */
static int prune_builds(struct runner *r, int64_t space_id, int64_t most, struct err *err)
{
    return store_exec(r->life, err,
                      "DELETE FROM builds WHERE id IN (SELECT id FROM builds WHERE space_id = ?"
                      " AND ended_ms IS NOT NULL AND version_id IS NOT (SELECT version_id FROM"
                      " spaces WHERE space_id = ?) AND id <= (SELECT id FROM builds WHERE"
                      " space_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id LIMIT ?)",
                      "iiiii", space_id, space_id, space_id, (int64_t)BUILDS_KEPT, most);
}

static int prune_old(struct runner *r, struct err *err)
{
    uint64_t now = now_ms(), before = now > EVENTS_KEPT_MS ? now - EVENTS_KEPT_MS : 0;
    return store_exec(r->life, err,
                      "DELETE FROM events WHERE id IN (SELECT id FROM (SELECT id, at_ms FROM"
                      " events WHERE id <= (SELECT MAX(id) FROM events) - ? ORDER BY id LIMIT ?)"
                      " WHERE at_ms < ?)",
                      "iii", (int64_t)EVENTS_KEPT, (int64_t)BATCH, (int64_t)before);
}

bool prune_step(struct runner *r)
{
    struct err err = {0};
    int n = store_begin(r->life, &err);
    if (n == 0)
        n = prune_old(r, &err);
    int64_t left = BATCH - (n == 0 ? store_changes(r->life) : 0);
    for (int i = 0; n == 0 && left > 0 && i < SPACES_A_STEP; i++) {
        int64_t id = next_space(r, (int64_t)r->pruned_to, &err);
        n = -err.code;
        r->pruned_to = (uint64_t)id; /* 0: from the first one again */
        if (n < 0 || !id)
            break;
        n = prune_events(r, id, left, &err);
        left -= n == 0 ? store_changes(r->life) : 0;
        if (n == 0 && left > 0) {
            n = prune_workers(r, id, left, &err);
            left -= n == 0 ? store_changes(r->life) : 0;
        }
        if (n == 0 && left > 0) {
            n = prune_builds(r, id, left, &err);
            left -= n == 0 ? store_changes(r->life) : 0;
        }
    }
    if (n == 0)
        n = store_commit(r->life, &err);
    if (n < 0) {
        store_rollback(r->life);
        log_warn(NULL, "life.prune", "%s", err.msg);
    }
    return n == 0 && left <= 0;
}
