/* Names of Spaces, and what else a row has that no submission brings. */
#include "common/util.h"
#include "webui/site_db.h"

#include <errno.h>

#define SALTS 32

/* A host label that nobody has but perhaps the Space `except`. "a-b/c" and "a/b-c" have the same
 * plain one: the later one gets a hash of its name. */
static int free_label(struct site *s, const char *owner, const char *name, int64_t except,
                      char out[64], struct err *err)
{
    for (unsigned salt = 0; salt < SALTS; salt++) {
        host_label(owner, name, salt, out);
        struct store_stmt *q = store_query(
            s->db, err, "SELECT 1 FROM spaces WHERE label = ? AND id <> ?", "ti", out, except);
        if (!q)
            return -EIO;
        int r = store_step(q, err);
        store_reset(q);
        if (r <= 0)
            return r;
    }
    return err_set(err, EEXIST, "no host name is free for %s/%s: choose another name", owner, name);
}

/* Whoever had it before is not found by it any more. */
static int take_name(struct site *s, const char *owner, const char *name, const char *label,
                     struct err *err)
{
    int r = store_exec(s->db, err, "DELETE FROM moved_spaces WHERE owner = ? AND name = ?", "tt",
                       owner, name);
    return r < 0 ? r
                 : store_exec(s->db, err, "UPDATE moved_spaces SET label = '' WHERE label = ?", "t",
                              label);
}

int site_create(struct site *s, const char *owner, const char *name, int64_t *ret_id,
                struct err *err)
{
    WITH_LOCK(s);
    char label[64];
    int64_t now = (int64_t)now_ms();
    int r = free_label(s, owner, name, 0, label, err);
    if (r == 0)
        r = take_name(s, owner, name, label, err);
    if (r == 0)
        r = store_exec(s->db, err,
                       "INSERT INTO spaces (owner, name, label, created_ms, updated_ms)"
                       " VALUES (?, ?, ?, ?, ?)",
                       "tttii", owner, name, label, now, now);
    if (r == 0)
        *ret_id = store_last_id(s->db);
    return r;
}

int site_keep(struct site *s, int64_t space_id, struct err *err)
{
    WITH_LOCK(s);
    return store_exec(s->db, err, "UPDATE spaces SET kept = 1 WHERE id = ?", "i", space_id);
}

int site_rename(struct site *s, int64_t space_id, const char *owner, const char *name,
                struct err *err)
{
    WITH_LOCK(s);
    char label[64];
    int r = free_label(s, owner, name, space_id, label, err);
    if (r < 0 || (r = store_begin(s->db, err)) < 0)
        return r;
    r = store_exec(s->db, err,
                   "INSERT OR REPLACE INTO moved_spaces (owner, name, label, space_id)"
                   " SELECT owner, name, label, id FROM spaces WHERE id = ?",
                   "i", space_id);
    if (r == 0)
        r = take_name(s, owner, name, label, err);
    if (r == 0)
        r = store_exec(s->db, err, "UPDATE spaces SET owner = ?, name = ?, label = ? WHERE id = ?",
                       "ttti", owner, name, label, space_id);
    if (r == 0)
        r = store_commit(s->db, err);
    if (r < 0)
        store_rollback(s->db);
    return r == -EEXIST ? err_set(err, EEXIST, "there is a Space %s/%s already", owner, name) : r;
}

int site_set_sleep(struct site *s, int64_t space_id, int64_t sleep_after_ms, struct err *err)
{
    WITH_LOCK(s);
    return store_exec(s->db, err, "UPDATE spaces SET sleep_after_ms = ? WHERE id = ?", "ii",
                      sleep_after_ms, space_id);
}
