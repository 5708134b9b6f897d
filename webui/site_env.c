#include "webui/site_env.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/site_db.h"
#include "webui/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void site_envs_free(struct site_envs *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->rows[i].value);
    free(l->rows);
    *l = (struct site_envs){0};
}

static int read_rows(struct store_stmt *q, bool secrets, struct site_envs *l, struct err *err)
{
    int r;
    while ((r = store_step(q, err)) == 1) {
        struct site_env *rows = reallocarray(l->rows, l->n + 1, sizeof *rows);
        char *value = secrets ? NULL : strdup(store_text(q, 3));
        if (!rows || (!secrets && !value)) {
            l->rows = rows ? rows : l->rows;
            free(value);
            store_reset(q);
            return err_set(err, ENOMEM, "out of memory");
        }
        l->rows = rows;
        struct site_env *e = &rows[l->n++];
        *e = (struct site_env){.value = value, .updated_ms = store_int(q, 2)};
        text_copy(e->name, sizeof e->name, store_text(q, 0));
        text_copy(e->description, sizeof e->description, store_text(q, 1));
    }
    return r;
}

int site_env_list(struct site *s, int64_t space_id, bool secrets, struct site_envs *ret,
                  struct err *err)
{
    WITH_LOCK(s);
    struct site_envs l = {0};
    struct store_stmt *q =
        store_query(s->db, err,
                    secrets ? "SELECT name, description, updated_ms FROM space_env"
                              " WHERE space_id = ? AND secret = 1 ORDER BY name"
                            : "SELECT name, description, updated_ms, value FROM space_env"
                              " WHERE space_id = ? AND secret = 0 ORDER BY name",
                    "i", space_id);
    int r = q ? read_rows(q, secrets, &l, err) : -EIO;
    if (r < 0) {
        site_envs_free(&l);
        return r;
    }
    *ret = l;
    return 0;
}

/* What is there: 1 and of which kind, 0, or negative errno. */
static int find(struct site *s, int64_t space_id, const char *name, bool *secret, struct err *err)
{
    struct store_stmt *q =
        store_query(s->db, err, "SELECT secret FROM space_env WHERE space_id = ? AND name = ?",
                    "it", space_id, name);
    int r = q ? store_step(q, err) : -EIO;
    if (r == 1) {
        *secret = store_int(q, 0) != 0;
        store_reset(q);
    }
    return r;
}

static int check_room(struct site *s, int64_t space_id, const char *name, int64_t bytes,
                      struct err *err)
{
    struct store_stmt *q = store_query(
        s->db, err,
        "SELECT count(*), coalesce(sum(bytes), 0) FROM space_env WHERE space_id = ? AND name <> ?",
        "it", space_id, name);
    int r = q ? store_step(q, err) : -EIO;
    if (r < 0)
        return r;
    int64_t count = store_int(q, 0), used = store_int(q, 1);
    store_reset(q);
    if (count >= SPACE_ENV_COUNT)
        return err_set(err, EINVAL,
                       "the Space has %d secrets and variables, which are the most: delete one",
                       SPACE_ENV_COUNT);
    if (used + bytes > SPACE_ENV_BYTES)
        return err_set(err, EINVAL,
                       "%s takes %lld bytes, and %lld are left: secrets and variables of a Space "
                       "may take %d bytes together, names included; keep large data in a file",
                       name, (long long)bytes,
                       (long long)(used < SPACE_ENV_BYTES ? SPACE_ENV_BYTES - used : 0),
                       SPACE_ENV_BYTES);
    return 0;
}

static int set_in_transaction(struct site *s, int64_t space_id, bool secret, const char *name,
                              const char *value, size_t value_len, const char *description,
                              struct err *err)
{
    bool is_secret = false;
    int64_t bytes = (int64_t)space_env_bytes(name, value_len);
    int r = find(s, space_id, name, &is_secret, err);
    if (r == 1 && is_secret != secret)
        return err_set(err, EEXIST, "%s is a %s of this Space: delete that first", name,
                       is_secret ? "secret" : "variable");
    if (r >= 0)
        r = check_room(s, space_id, name, bytes, err);
    if (r < 0)
        return r;
    return store_exec(s->db, err,
                      "INSERT INTO space_env (space_id, name, secret, value, bytes, description,"
                      " updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, coalesce(?6, ''), ?7)"
                      " ON CONFLICT (space_id, name) DO UPDATE SET value = ?4, bytes = ?5,"
                      " description = coalesce(?6, description), updated_ms = ?7",
                      "itititi", space_id, name, (int64_t)secret, value, bytes, description,
                      (int64_t)now_ms());
}

int site_env_set(struct site *s, int64_t space_id, bool secret, const char *name, const char *value,
                 size_t value_len, const char *description, struct err *err)
{
    WITH_LOCK(s);
    int r = store_begin(s->db, err);
    if (r < 0)
        return r;
    r = set_in_transaction(s, space_id, secret, name, value, value_len, description, err);
    if (r == 0)
        r = store_commit(s->db, err);
    if (r < 0)
        store_rollback(s->db);
    return r;
}

int site_env_delete(struct site *s, int64_t space_id, bool secret, const char *name,
                    struct err *err)
{
    WITH_LOCK(s);
    int r = store_exec(s->db, err,
                       "DELETE FROM space_env WHERE space_id = ? AND name = ? AND secret = ?",
                       "iti", space_id, name, (int64_t)secret);
    return r < 0 ? r : store_changes(s->db) > 0;
}
