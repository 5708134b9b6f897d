#include "runner/life.h"

#include "common/limits_met.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The open transaction, and the first failure in it. */
static struct {
    int depth;
    bool open;
    struct err err;
} tx;

int life_open(struct runner *r, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/life.db", r->data);
    int n = store_open(&r->life, path, STORE_LIFE, STORE_WRITE, err);
    if (n < 0)
        return n;
    /* life_checkpoint does it instead */
    struct store_stmt *q = store_query(r->life, err, "PRAGMA wal_autocheckpoint = 0", "");
    if (!q)
        return -err->code;
    while ((n = store_step(q, err)) == 1)
        ;
    return n;
}

void life_checkpoint(struct runner *r)
{
    struct err err = {0};
    struct store_stmt *q = store_query(r->life, &err, "PRAGMA wal_checkpoint(PASSIVE)", "");
    int n;
    while ((n = q ? store_step(q, &err) : -EIO) == 1)
        ;
    if (n < 0)
        log_warn(NULL, "life.checkpoint", "%s", err.msg);
}

static int note(int n, const struct err *err)
{
    if (n < 0 && tx.depth && !tx.err.code)
        tx.err = *err;
    return n;
}

void life_begin(struct runner *r)
{
    if (tx.depth++)
        return;
    tx.err.code = 0;
    tx.open = store_begin(r->life, &tx.err) == 0;
}

int life_commit(struct runner *r, struct err *err)
{
    if (--tx.depth)
        return 0;
    if (!tx.err.code && tx.open && store_commit(r->life, &tx.err) == 0)
        return 0;
    store_rollback(r->life);
    log_error(NULL, "life.write", "%s", tx.err.msg);
    return err_set(err, tx.err.code, "%s", tx.err.msg);
}

/* store_exec whose failure is remembered by the transaction it stands in. */
#define EXEC(r, err, ...)                                                                          \
    ({                                                                                             \
        struct err _e = {0};                                                                       \
        int _n = note(store_exec((r)->life, &_e, __VA_ARGS__), &_e);                               \
        if (_n < 0)                                                                                \
            err_set(err, _e.code, "%s", _e.msg);                                                   \
        _n;                                                                                        \
    })

int life_space_load(struct runner *r, uint64_t space_id, struct life_space *ret, struct err *err)
{
    struct store_stmt *q = store_query(
        r->life, err,
        "SELECT uid_index, stage, reason, version_id, worker_id, data_bytes, data_inodes,"
        " data_project FROM spaces WHERE space_id = ?",
        "i", (int64_t)space_id);
    int n = q ? store_step(q, err) : -EIO;
    if (n != 1)
        return n;
    *ret = (struct life_space){
        .uid_index = (uint32_t)store_int(q, 0),
        .version_id = (uint64_t)store_int(q, 3),
        .worker_id = (uint64_t)store_int(q, 4),
        .data_known = !store_is_null(q, 5),
        .data = {.bytes = (uint64_t)store_int(q, 5), .inodes = (uint64_t)store_int(q, 6)},
        .data_project = (uint32_t)store_int(q, 7)};
    snprintf(ret->stage, sizeof(ret->stage), "%s", store_text(q, 1));
    snprintf(ret->reason, sizeof(ret->reason), "%s", store_text(q, 2));
    store_reset(q);
    return 1;
}

static int64_t number(struct runner *r, const char *sql, int64_t arg, struct err *err)
{
    struct store_stmt *q = strchr(sql, '?') ? store_query(r->life, err, sql, "i", arg)
                                            : store_query(r->life, err, sql, "");
    if (!q || store_step(q, err) != 1)
        return -1;
    int64_t v = store_is_null(q, 0) ? -1 : store_int(q, 0);
    store_reset(q);
    return v;
}

/* Above all that are in use while the range lasts, so that a uid comes back as late as possible;
 * then the smallest one that was given back. */
static int free_uid(struct runner *r, uint32_t *ret, struct err *err)
{
    int64_t next = number(r, "SELECT COALESCE(MAX(uid_index) + 1, 0) FROM spaces", 0, err);
    int64_t count = userns_space_count(&r->range);
    if (next >= count)
        next = number(r,
                      "SELECT MIN(c) FROM (SELECT 0 AS c UNION SELECT uid_index + 1 FROM spaces)"
                      " WHERE c NOT IN (SELECT uid_index FROM spaces)",
                      0, err);
    if (next < 0 || next >= count)
        return err_set(err, ENOSPC,
                       "all %lld user ids of the Spaces' range are in use: delete a Space, or "
                       "enlarge the range in /etc/subuid",
                       (long long)count);
    *ret = (uint32_t)next;
    return 0;
}

int life_space_create(struct runner *r, uint64_t space_id, uint32_t *ret_uid_index, struct err *err)
{
    uint32_t uid_index = 0;
    int n = free_uid(r, &uid_index, err);
    if (n == 0)
        n = EXEC(r, err,
                 "INSERT INTO spaces (space_id, uid_index, stage, reason, updated_ms)"
                 " VALUES (?, ?, 'NO_APP_FILE', '', ?)",
                 "iii", (int64_t)space_id, (int64_t)uid_index, (int64_t)now_ms());
    if (n == 0)
        *ret_uid_index = uid_index;
    return n;
}

int life_space_save(struct runner *r, const struct space *s, struct err *err)
{
    return EXEC(r, err,
                "UPDATE spaces SET stage = ?, reason = ?, paused = ?, version_id = NULLIF(?, 0),"
                " worker_id = NULLIF(?, 0), updated_ms = ? WHERE space_id = ?",
                "ttiiiii", proto_stage_name(lifecycle_stage(s->state)), s->reason,
                (int64_t)(s->state == LC_PAUSED), (int64_t)s->version.id,
                (int64_t)(s->cur ? s->cur->id : 0), (int64_t)now_ms(), (int64_t)s->id);
}

int life_data_save(struct runner *r, const struct space *s, const char *quota, struct err *err)
{
    const struct volume *v = &s->volume;
    return EXEC(r, err,
                v->known ? "UPDATE spaces SET data_bytes = ?, data_inodes = ?, data_quota = ?,"
                           " data_project = ? WHERE space_id = ?"
                         : "UPDATE spaces SET data_bytes = NULLIF(?, 0), data_inodes ="
                           " NULLIF(?, 0), data_quota = ?, data_project = ? WHERE space_id = ?",
                "iitii", (int64_t)v->used.bytes, (int64_t)v->used.inodes, quota,
                (int64_t)v->given_to, (int64_t)s->id);
}

int life_space_remove(struct runner *r, uint64_t space_id, struct err *err)
{
    int n = EXEC(r, err, "DELETE FROM workers WHERE space_id = ?", "i", (int64_t)space_id);
    if (n == 0)
        n = EXEC(r, err, "DELETE FROM builds WHERE space_id = ?", "i", (int64_t)space_id);
    int m = EXEC(r, err, "DELETE FROM spaces WHERE space_id = ?", "i", (int64_t)space_id);
    return n < 0 ? n : m;
}

int life_busy_space_after(struct runner *r, uint64_t after, uint64_t *ret_id, struct err *err)
{
    struct store_stmt *q =
        store_query(r->life, err,
                    "SELECT space_id FROM spaces WHERE space_id > ? AND stage NOT IN ('SLEEPING',"
                    " 'STOPPED', 'PAUSED', 'NO_APP_FILE', 'RUNTIME_ERROR', 'BUILD_ERROR')"
                    " ORDER BY space_id LIMIT 1",
                    "i", (int64_t)after);
    int n = q ? store_step(q, err) : -EIO;
    if (n != 1)
        return n;
    *ret_id = (uint64_t)store_int(q, 0);
    store_reset(q);
    return 1;
}

/* ---- workers ---- */

int life_worker_create(struct runner *r, struct worker *w, struct err *err)
{
    int n = EXEC(r, err,
                 "INSERT INTO workers (space_id, version_id, state, boot_id, pid, port, restarts,"
                 " created_ms, gpus) VALUES (?, ?, 'starting', ?, 0, ?, ?, ?, ?)",
                 "iitiiit", (int64_t)w->space->id, (int64_t)w->version.id, r->boot_id,
                 (int64_t)w->version.port, (int64_t)w->restarts, (int64_t)w->created_ms, w->gpus);
    if (n == 0)
        w->id = (uint64_t)store_last_id(r->life);
    return n;
}

int life_worker_save(struct runner *r, const struct worker *w, const char *exit_reason,
                     struct err *err)
{
    bool ended = w->state == WORKER_GONE || w->state == WORKER_FAILED;
    char met[400];
    limits_met_text(w->end.met, &w->limits, met, sizeof(met));
    return EXEC(
        r, err,
        "UPDATE workers SET state = ?, pid = ?, ready_ms = NULLIF(?, 0),"
        " ended_ms = NULLIF(?, 0), requests = ?, exit_reason = ?, ran_into = ? WHERE id = ?",
        "tiiiitti", worker_state_name(w->state), (int64_t)w->pid, (int64_t)w->ready_ms,
        (int64_t)(ended ? now_ms() : 0), (int64_t)w->requests, exit_reason ? exit_reason : "", met,
        (int64_t)w->id);
}

int life_live_worker_after(struct runner *r, uint64_t after, struct life_worker *ret,
                           struct err *err)
{
    struct store_stmt *q = store_query(
        r->life, err,
        "SELECT id, space_id, version_id, state, boot_id, pid, port, restarts,"
        " created_ms, ready_ms, requests, gpus FROM workers WHERE ended_ms IS NULL AND id > ?"
        " ORDER BY id LIMIT 1",
        "i", (int64_t)after);
    int n = q ? store_step(q, err) : -EIO;
    if (n != 1)
        return n;
    *ret = (struct life_worker){
        .id = (uint64_t)store_int(q, 0),
        .space_id = (uint64_t)store_int(q, 1),
        .version_id = (uint64_t)store_int(q, 2),
        .pid = (int)store_int(q, 5),
        .port = (uint32_t)store_int(q, 6),
        .restarts = (uint64_t)store_int(q, 7),
        .created_ms = (uint64_t)store_int(q, 8),
        .ready_ms = (uint64_t)store_int(q, 9),
        .requests = (uint64_t)store_int(q, 10),
    };
    snprintf(ret->state, sizeof(ret->state), "%s", store_text(q, 3));
    snprintf(ret->boot_id, sizeof(ret->boot_id), "%s", store_text(q, 4));
    snprintf(ret->gpus, sizeof(ret->gpus), "%s", store_text(q, 11));
    store_reset(q);
    return 1;
}

int life_worker_end(struct runner *r, uint64_t id, bool failed, const char *exit_reason,
                    struct err *err)
{
    return EXEC(r, err, "UPDATE workers SET state = ?, ended_ms = ?, exit_reason = ? WHERE id = ?",
                "titi", failed ? "failed" : "gone", (int64_t)now_ms(), exit_reason, (int64_t)id);
}

uint64_t life_newest_worker(struct runner *r, uint64_t space_id)
{
    int64_t id =
        number(r, "SELECT MAX(id) FROM workers WHERE space_id = ?", (int64_t)space_id, NULL);
    return id < 0 ? 0 : (uint64_t)id;
}

bool life_version_was_ready(struct runner *r, uint64_t space_id, uint64_t version_id)
{
    struct store_stmt *q = store_query(
        r->life, NULL,
        "SELECT 1 FROM workers WHERE space_id = ? AND version_id = ? AND ready_ms > 0 LIMIT 1",
        "ii", (int64_t)space_id, (int64_t)version_id);
    bool was = q && store_step(q, NULL) == 1;
    if (was)
        store_reset(q);
    return was;
}

void life_failures(struct runner *r, uint64_t space_id, uint64_t since_ms,
                   void (*fn)(void *arg, uint64_t ended_ms, bool was_ready), void *arg)
{
    struct store_stmt *q =
        store_query(r->life, NULL,
                    "SELECT ended_ms, ready_ms > 0 FROM workers WHERE space_id = ? AND state ="
                    " 'failed' AND ended_ms > ? ORDER BY ended_ms",
                    "ii", (int64_t)space_id, (int64_t)since_ms);
    while (q && store_step(q, NULL) == 1)
        fn(arg, (uint64_t)store_int(q, 0), store_int(q, 1) == 1);
}

/* ---- the inbox ---- */

uint64_t life_commands_all_done_to(struct runner *r)
{
    int64_t id = number(r,
                        "SELECT MIN(command_id) FROM commands_done d WHERE NOT EXISTS"
                        " (SELECT 1 FROM commands_done e WHERE e.command_id = d.command_id + 1)"
                        " AND EXISTS (SELECT 1 FROM commands_done f WHERE f.command_id = 1)",
                        0, NULL);
    return id < 0 ? 0 : (uint64_t)id;
}

bool life_command_is_done(struct runner *r, uint64_t id)
{
    return number(r, "SELECT 1 FROM commands_done WHERE command_id = ?", (int64_t)id, NULL) == 1;
}

int life_command_done(struct runner *r, uint64_t id, int code, const char *message, struct err *err)
{
    return EXEC(r, err,
                "INSERT OR IGNORE INTO commands_done (command_id, code, message, at_ms)"
                " VALUES (?, ?, ?, ?)",
                "iiti", (int64_t)id, (int64_t)code, message, (int64_t)now_ms());
}
