#include "runner/life_build.h"

#include "common/log.h"
#include "common/store.h"
#include "common/util.h"
#include "runner/build_own.h"
#include "runner/life.h"
#include "runner/runner.h"
#include "runner/space.h"

#include <errno.h>
#include <stdio.h>

/* The first column of the only row, a key. */
static int key_of(struct store_stmt *q, char key[65], struct err *err)
{
    int n = q ? store_step(q, err) : -EIO;
    if (n != 1)
        return n;
    snprintf(key, 65, "%s", store_text(q, 0));
    store_reset(q);
    return 1;
}

int life_build_env(struct runner *r, uint64_t space_id, uint64_t version_id, char env[65],
                   struct err *err)
{
    struct store_stmt *q =
        store_query(r->life, err,
                    "SELECT env FROM builds WHERE space_id = ? AND version_id = ? AND state ="
                    " 'done' ORDER BY id DESC LIMIT 1",
                    "ii", (int64_t)space_id, (int64_t)version_id);
    return key_of(q, env, err);
}

void life_build_forget(struct runner *r, uint64_t space_id, uint64_t version_id)
{
    struct err err = {0};
    if (store_exec(r->life, &err,
                   "UPDATE builds SET state = 'replaced' WHERE space_id = ? AND version_id = ?"
                   " AND state = 'done'",
                   "ii", (int64_t)space_id, (int64_t)version_id) < 0)
        log_warn(NULL, "build.forget", "%s", err.msg);
}

int life_build_layer(struct runner *r, uint64_t space_id, uint64_t version_id, char layer[65],
                     struct err *err)
{
    struct store_stmt *q =
        store_query(r->life, err,
                    "SELECT layer FROM builds WHERE space_id = ? AND version_id = ? AND state ="
                    " 'done' ORDER BY id DESC LIMIT 1",
                    "ii", (int64_t)space_id, (int64_t)version_id);
    return key_of(q, layer, err);
}

int life_build_models(struct runner *r, uint64_t space_id, uint64_t version_id, char models[65],
                      struct err *err)
{
    struct store_stmt *q =
        store_query(r->life, err,
                    "SELECT models FROM builds WHERE space_id = ? AND version_id = ? AND state ="
                    " 'done' ORDER BY id DESC LIMIT 1",
                    "ii", (int64_t)space_id, (int64_t)version_id);
    return key_of(q, models, err);
}

int life_build_create(struct runner *r, struct build *b, const char *state, struct err *err)
{
    int n =
        store_exec(r->life, err,
                   "INSERT INTO builds (space_id, version_id, state, created_ms)"
                   " VALUES (?, ?, ?, ?)",
                   "iiti", (int64_t)b->space->id, (int64_t)b->version.id, state, (int64_t)now_ms());
    if (n == 0)
        b->row = (uint64_t)store_last_id(r->life);
    return n;
}

int life_build_save(struct runner *r, const struct build *b, const char *state, const char *env,
                    struct err *err)
{
    bool ended = b->over || env;
    int64_t now = (int64_t)now_ms();
    return store_exec(
        r->life, err,
        "UPDATE builds SET state = ?, env = ?, layer = ?, models = ?, reason = ?, started_ms ="
        " COALESCE(started_ms, CASE ? WHEN 'queued' THEN NULL ELSE ? END),"
        " ended_ms = NULLIF(?, 0) WHERE id = ?",
        "ttttttiii", state, env ? env : "", b->layer, b->models, b->reason, state, now,
        ended ? now : 0, (int64_t)b->row);
}

int life_builds_lost(struct runner *r, struct err *err)
{
    return store_exec(r->life, err,
                      "UPDATE builds SET state = 'failed', reason = 'the server was restarted',"
                      " ended_ms = ? WHERE ended_ms IS NULL",
                      "i", (int64_t)now_ms());
}

int life_resolution(struct runner *r, const char *request, char env[65], struct err *err)
{
    return key_of(
        store_query(r->life, err, "SELECT env FROM resolutions WHERE request = ?", "t", request),
        env, err);
}

int life_resolution_save(struct runner *r, const char *request, const char *env, struct err *err)
{
    return store_exec(r->life, err,
                      "INSERT OR REPLACE INTO resolutions (request, env) VALUES (?, ?)", "tt",
                      request, env);
}

int life_env_save(struct runner *r, const char *key, const char *owner, const char *python,
                  uint64_t bytes, enum life_bytecode bytecode, struct err *err)
{
    int64_t now = (int64_t)now_ms();
    return store_exec(r->life, err,
                      "INSERT OR REPLACE INTO envs (key, owner, python, bytes, created_ms, used_ms,"
                      " bytecode) VALUES (?, ?, ?, ?, ?, ?, ?)",
                      "tttiiii", key, owner, python, (int64_t)bytes, now, now, (int64_t)bytecode);
}

int life_env_uncompiled(struct runner *r, char key[65], char *python, size_t size, struct err *err)
{
    struct store_stmt *q = store_query(r->life, err,
                                       "SELECT key, python FROM envs WHERE bytecode = ?"
                                       " ORDER BY used_ms DESC LIMIT 1",
                                       "i", (int64_t)BYTECODE_WANTED);
    int n = q ? store_step(q, err) : -EIO;
    if (n != 1)
        return n;
    snprintf(key, 65, "%s", store_text(q, 0));
    snprintf(python, size, "%s", store_text(q, 1));
    store_reset(q);
    return 1;
}

int life_env_compiled(struct runner *r, const char *key, enum life_bytecode state, uint64_t bytes,
                      struct err *err)
{
    return store_exec(r->life, err, "UPDATE envs SET bytecode = ?, bytes = bytes + ? WHERE key = ?",
                      "iit", (int64_t)state, (int64_t)bytes, key);
}

int life_env_known(struct runner *r, const char *key)
{
    char found[65];
    return key_of(store_query(r->life, NULL, "SELECT key FROM envs WHERE key = ?", "t", key), found,
                  NULL) == 1;
}

int life_env_remove(struct runner *r, const char *key, struct err *err)
{
    int n = store_begin(r->life, err);
    if (n == 0)
        n = store_exec(r->life, err, "DELETE FROM resolutions WHERE env = ?", "t", key);
    if (n == 0)
        n = store_exec(r->life, err, "DELETE FROM envs WHERE key = ?", "t", key);
    if (n == 0)
        n = store_commit(r->life, err);
    if (n < 0)
        store_rollback(r->life);
    return n;
}

void life_envs_mark_used(struct runner *r)
{
    struct err err = {0};
    if (store_exec(r->life, &err,
                   "UPDATE envs SET used_ms = ? WHERE key IN (SELECT b.env FROM builds b JOIN"
                   " spaces s ON s.space_id = b.space_id AND s.version_id = b.version_id"
                   " WHERE b.state = 'done' UNION SELECT b.env FROM builds b JOIN workers w ON"
                   " w.space_id = b.space_id AND w.version_id = b.version_id"
                   " WHERE b.state = 'done' AND w.ended_ms IS NULL"
                   " UNION SELECT b.layer FROM builds b JOIN"
                   " spaces s ON s.space_id = b.space_id AND s.version_id = b.version_id"
                   " WHERE b.state = 'done' UNION SELECT b.layer FROM builds b JOIN workers w ON"
                   " w.space_id = b.space_id AND w.version_id = b.version_id"
                   " WHERE b.state = 'done' AND w.ended_ms IS NULL"
                   " UNION SELECT b.models FROM builds b JOIN"
                   " spaces s ON s.space_id = b.space_id AND s.version_id = b.version_id"
                   " WHERE b.state = 'done' UNION SELECT b.models FROM builds b JOIN workers w ON"
                   " w.space_id = b.space_id AND w.version_id = b.version_id"
                   " WHERE b.state = 'done' AND w.ended_ms IS NULL)",
                   "i", (int64_t)now_ms()) < 0)
        log_warn(NULL, "env.used", "%s", err.msg);
}

uint64_t life_envs_bytes(struct runner *r)
{
    struct store_stmt *q =
        store_query(r->life, NULL, "SELECT COALESCE(SUM(bytes), 0) FROM envs", "");
    uint64_t bytes = 0;
    if (q && store_step(q, NULL) == 1) {
        bytes = (uint64_t)store_int(q, 0);
        store_reset(q);
    }
    return bytes;
}

bool life_env_unused_after(struct runner *r, uint64_t after_ms, const char *after_key, char key[65],
                           uint64_t *ret_used_ms, uint64_t *ret_bytes)
{
    struct store_stmt *q =
        store_query(r->life, NULL,
                    "SELECT key, used_ms, bytes FROM envs WHERE (used_ms, key) > (?, ?)"
                    " ORDER BY used_ms, key LIMIT 1",
                    "it", (int64_t)after_ms, after_key);
    if (!q || store_step(q, NULL) != 1)
        return false;
    snprintf(key, 65, "%s", store_text(q, 0));
    *ret_used_ms = (uint64_t)store_int(q, 1);
    *ret_bytes = (uint64_t)store_int(q, 2);
    store_reset(q);
    return true;
}
