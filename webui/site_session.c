/* Sessions of browsers, and the links that begin one. */
#include "common/util.h"
#include "webui/site_db.h"

#include <errno.h>

int site_session_add(struct site *s, const char *hash, int64_t expires_ms, struct err *err)
{
    WITH_LOCK(s);
    int64_t now = (int64_t)now_ms();
    int r = store_exec(s->db, err, "DELETE FROM sessions WHERE expires_ms < ?", "i", now);
    if (r < 0)
        return r;
    return store_exec(s->db, err,
                      "INSERT INTO sessions (hash, created_ms, expires_ms) VALUES (?, ?, ?)", "tii",
                      hash, now, expires_ms);
}

int site_session_valid(struct site *s, const char *hash, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q =
        store_query(s->db, err, "SELECT 1 FROM sessions WHERE hash = ? AND expires_ms > ?", "ti",
                    hash, (int64_t)now_ms());
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    store_reset(q);
    return r;
}

int site_session_end(struct site *s, const char *hash, struct err *err)
{
    WITH_LOCK(s);
    return store_exec(s->db, err, "DELETE FROM sessions WHERE hash = ?", "t", hash);
}

int site_link_add(struct site *s, const char *hash, struct err *err)
{
    WITH_LOCK(s);
    return store_exec(s->db, err, "INSERT INTO login_links (hash, created_ms) VALUES (?, ?)", "ti",
                      hash, (int64_t)now_ms());
}

int site_link_use(struct site *s, const char *hash, int64_t max_age_ms, struct err *err)
{
    WITH_LOCK(s);
    int64_t now = (int64_t)now_ms();
    int r = store_exec(s->db, err,
                       "UPDATE login_links SET used_ms = ? WHERE hash = ? AND used_ms IS NULL"
                       " AND created_ms > ?",
                       "iti", now, hash, now - max_age_ms);
    if (r < 0)
        return r;
    return store_changes(s->db) == 1;
}
