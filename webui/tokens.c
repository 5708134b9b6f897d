#include "webui/tokens.h"

#include "common/util.h"
#include "webui/site_db.h"
#include "webui/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define USED_EVERY_MS 60000 /* a write for each request would cost each one a disk's answer */

int tokens_add(struct site *s, const char *user, const char *name, enum right right,
               int64_t expires_ms, char out[TOKEN_SIZE], int64_t *ret_id, struct err *err)
{
    struct owner o = {0};
    if (strlen(name) > 96)
        return err_set(err, EINVAL, "the token's name has more than 96 characters");
    int r = owners_find(s, user, &o, err);
    if (r < 0)
        return r;
    if (r == 0)
        return err_set(err, ENOENT, "there is no user \"%s\": `vitrine user add %s` makes it", user,
                       user);
    if (o.is_org)
        return err_set(err, EINVAL,
                       "%s is an organisation: make the token for a user who is a member of it",
                       o.name);
    char secret[65], hash[65];
    random_hex(secret, 32);
    snprintf(out, TOKEN_SIZE, TOKEN_PREFIX "%s", secret);
    sha256_hex(out, strlen(out), hash);
    WITH_LOCK(s);
    r = store_exec(s->db, err,
                   "INSERT INTO tokens (hash, user_id, name, role, created_ms, expires_ms)"
                   " VALUES (?, ?, ?, ?, ?, nullif(?, 0))",
                   "tittii", hash, o.id, name, right_name(right), (int64_t)now_ms(), expires_ms);
    if (r == 0)
        *ret_id = store_last_id(s->db);
    return r;
}

int tokens_find(struct site *s, const char *secret, struct token *ret, struct err *err)
{
    if (strncmp(secret, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0)
        return 0;
    char hash[65];
    sha256_hex(secret, strlen(secret), hash);
    int64_t now = (int64_t)now_ms();
    WITH_LOCK(s);
    struct store_stmt *q =
        store_query(s->db, err,
                    "SELECT t.id, t.user_id, o.name, t.name, t.role, coalesce(t.used_ms, 0)"
                    " FROM tokens t JOIN owners o ON o.id = t.user_id"
                    " WHERE t.hash = ? AND (t.expires_ms IS NULL OR t.expires_ms > ?)",
                    "ti", hash, now);
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    if (r != 1)
        return r;
    *ret = (struct token){.id = store_int(q, 0), .user_id = store_int(q, 1)};
    text_copy(ret->user, sizeof ret->user, store_text(q, 2));
    text_copy(ret->name, sizeof ret->name, store_text(q, 3));
    (void)right_parse(store_text(q, 4), &ret->right);
    bool tell = now - store_int(q, 5) > USED_EVERY_MS;
    store_reset(q);
    /* Where the disk is full, a token is as good as before. */
    if (tell)
        (void)store_exec(s->db, NULL, "UPDATE tokens SET used_ms = ? WHERE id = ?", "ii", now,
                         ret->id);
    return 1;
}

int tokens_revoke(struct site *s, int64_t id, struct err *err)
{
    WITH_LOCK(s);
    int r = store_exec(s->db, err, "DELETE FROM tokens WHERE id = ?", "i", id);
    if (r == 0 && store_changes(s->db) == 0)
        return err_set(err, ENOENT, "there is no token %lld: `vitrine token list` shows them",
                       (long long)id);
    return r;
}

/* A point in time, null where there is none. */
static void set_time(json_t *o, const char *key, struct store_stmt *q, int column)
{
    char text[25];
    time_iso((uint64_t)store_int(q, column), text);
    json_object_set_new(o, key, store_is_null(q, column) ? json_null() : json_string(text));
}

json_t *tokens_json(struct site *s, const char *user, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q =
        store_query(s->db, err,
                    "SELECT t.id, o.name, t.name, t.role, t.created_ms, t.used_ms, t.expires_ms"
                    " FROM tokens t JOIN owners o ON o.id = t.user_id"
                    " WHERE ?1 IS NULL OR o.name = ?1 ORDER BY o.name, t.id",
                    "t", user);
    if (!q)
        return NULL;
    json_t *out = json_array();
    int r;
    while ((r = store_step(q, err)) == 1) {
        json_t *o = json_pack("{s:I, s:s, s:s, s:s}", "id", (json_int_t)store_int(q, 0), "user",
                              store_text(q, 1), "name", store_text(q, 2), "role", store_text(q, 3));
        set_time(o, "createdAt", q, 4);
        set_time(o, "lastUsedAt", q, 5);
        set_time(o, "expiresAt", q, 6);
        json_array_append_new(out, o);
    }
    if (r < 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}
