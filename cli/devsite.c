#include "devsite.h"

#include "client.h"
#include "common/cleanup.h"
#include "common/store.h"
#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNER "local"
#define NAME_MAX_LEN 60
#define VERSIONS_KEPT 20 /* of a folder */
#define COMMANDS_KEPT 1000

struct devsite {
    struct store *site;
    struct store *life; /* NULL until the runner has made it */
    char life_path[4200];
};

int devsite_open(struct devsite **ret, const char *data, struct err *err)
{
    char path[4200];
    struct devsite *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    snprintf(path, sizeof(path), "%.4096s/site.db", data);
    snprintf(s->life_path, sizeof(s->life_path), "%.4096s/life.db", data);
    int r = store_open(&s->site, path, STORE_SITE, STORE_WRITE, err);
    if (r < 0) {
        free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void devsite_close(struct devsite *s)
{
    if (!s)
        return;
    store_close(s->site);
    store_close(s->life);
    free(s);
}

static struct store *life_of(struct devsite *s, struct err *err)
{
    if (!s->life && store_open(&s->life, s->life_path, STORE_LIFE, STORE_READ, err) < 0)
        s->life = NULL;
    return s->life;
}

static int command(struct devsite *s, int64_t space, const char *verb, int64_t version,
                   int64_t *ret_id, struct err *err)
{
    int r = store_exec(s->site, err,
                       "INSERT INTO commands (space_id, verb, version_id, created_ms)"
                       " VALUES (?, ?, nullif(?, 0), ?)",
                       "itii", space, verb, version, (int64_t)now_ms());
    if (r == 0 && ret_id)
        *ret_id = store_last_id(s->site);
    return r;
}

int devsite_stop(struct devsite *s, int64_t space, struct err *err)
{
    return command(s, space, "stop", 0, NULL, err);
}

/* ---- before the runner starts ---- */

static int stop_unfinished(struct devsite *s, struct err *err)
{
    struct err none = {0};
    struct store *life = life_of(s, &none);
    struct store_stmt *q =
        life
            ? store_query(life, &none,
                          "SELECT space_id FROM spaces WHERE stage IN ('BUILDING', 'APP_STARTING')",
                          "")
            : NULL;
    int r = 0;
    while (r == 0 && q && store_step(q, &none) == 1)
        r = devsite_stop(s, store_int(q, 0), err);
    if (r < 0)
        store_reset(q);
    return r;
}

int devsite_tidy(struct devsite *s, uint64_t keep_ms, struct err *err)
{
    int64_t now = (int64_t)now_ms(), before = keep_ms < (uint64_t)now ? now - (int64_t)keep_ms : 0;
    int r = store_begin(s->site, err);
    if (r == 0)
        r = stop_unfinished(s, err);
    if (r == 0)
        r = store_exec(s->site, err,
                       "DELETE FROM commands WHERE id <= (SELECT MAX(id) FROM commands) - ?", "i",
                       (int64_t)COMMANDS_KEPT);
    if (r == 0)
        r = store_exec(s->site, err,
                       "INSERT INTO commands (space_id, verb, created_ms)"
                       " SELECT id, 'delete', ? FROM spaces WHERE updated_ms < ?",
                       "ii", now, before);
    if (r == 0)
        r = store_exec(s->site, err, "DELETE FROM spaces WHERE updated_ms < ?", "i", before);
    if (r == 0)
        r = store_commit(s->site, err);
    if (r < 0)
        store_rollback(s->site);
    return r;
}

/* ---- a folder ---- */

/* Its name, for the eye, and a hash of where it is. */
static void name_of(const char *folder, char out[NAME_MAX_LEN + 16])
{
    char hash[65];
    const char *slash = strrchr(folder, '/'), *from = slash ? slash + 1 : folder;
    size_t n = 0;
    for (; *from && n < NAME_MAX_LEN; from++)
        if (isalnum((unsigned char)*from) || (n && *from == '-'))
            out[n++] = *from;
    sha256_hex(folder, strlen(folder), hash);
    snprintf(out + n, 16, "%s%.10s", n ? "-" : "", hash);
}

static int space_of(struct devsite *s, const char *folder, int64_t *ret, struct err *err)
{
    char name[NAME_MAX_LEN + 16], label[64];
    int64_t now = (int64_t)now_ms();
    name_of(folder, name);
    host_label(OWNER, name, 0, label);
    int r = store_exec(s->site, err,
                       "INSERT OR IGNORE INTO spaces (owner, name, label, created_ms, updated_ms)"
                       " VALUES ('" OWNER "', ?, ?, ?, ?)",
                       "ttii", name, label, now, now);
    struct store_stmt *q =
        r == 0
            ? store_query(s->site, err,
                          "SELECT id FROM spaces WHERE owner = '" OWNER "' AND name = ?", "t", name)
            : NULL;
    if (r == 0)
        r = q ? store_step(q, err) : -err->code;
    if (r != 1)
        return r < 0 ? r : err_set(err, EIO, "a row of site.db is missing");
    *ret = store_int(q, 0);
    store_reset(q);
    return 0;
}

static int find_version(struct devsite *s, int64_t space, const char *sha, int64_t *ret,
                        struct err *err)
{
    struct store_stmt *q = store_query(s->site, err,
                                       "SELECT id FROM versions WHERE space_id = ? AND sha = ?"
                                       " ORDER BY id DESC LIMIT 1",
                                       "it", space, sha);
    int r = q ? store_step(q, err) : -err->code;
    if (r != 1)
        return r;
    *ret = store_int(q, 0);
    store_reset(q);
    return 1;
}

static int add_version(struct devsite *s, int64_t space, const char *sha, const json_t *record,
                       int64_t *ret, struct err *err)
{
    const json_t *front = json_object_get(record, "card");
    _cleanup_free_ char *card = front ? json_dumps(front, JSON_COMPACT) : strdup("{}");
    if (!card)
        return err_set(err, ENOMEM, "out of memory");
    int r = store_exec(s->site, err,
                       "INSERT INTO versions (space_id, sha, title, emoji, color_from, color_to,"
                       " short_description, sdk, app_file, app_port, base_path, card, files, bytes,"
                       " message, created_ms)"
                       " VALUES (?, ?, ?, '', '', '', '', ?, ?, ?, ?, ?, 0, 0, '', ?)",
                       "itt"
                       "ttitti",
                       space, sha, json_str(record, "title"), json_str(record, "sdk"),
                       json_str(record, "app_file"),
                       (int64_t)json_integer_value(json_object_get(record, "app_port")),
                       json_str(record, "base_path"), card, (int64_t)now_ms());
    *ret = r == 0 ? store_last_id(s->site) : 0;
    return r;
}

static int deploy(struct devsite *s, const char *folder, const char *sha, const json_t *record,
                  struct devsite_ids *ret, struct err *err)
{
    int r = space_of(s, folder, &ret->space, err);
    if (r == 0)
        r = find_version(s, ret->space, sha, &ret->version, err);
    if (r == 0)
        r = add_version(s, ret->space, sha, record, &ret->version, err);
    if (r < 0)
        return r;
    r = store_exec(s->site, err, "UPDATE spaces SET version_id = ?, updated_ms = ? WHERE id = ?",
                   "iii", ret->version, (int64_t)now_ms(), ret->space);
    if (r == 0)
        r = store_exec(s->site, err,
                       "DELETE FROM versions WHERE space_id = ? AND id <> ? AND id NOT IN (SELECT"
                       " id FROM versions WHERE space_id = ? ORDER BY id DESC LIMIT ?)",
                       "iiii", ret->space, ret->version, ret->space, (int64_t)VERSIONS_KEPT);
    return r < 0 ? r : command(s, ret->space, "deploy", ret->version, &ret->command, err);
}

int devsite_deploy(struct devsite *s, const char *folder, const char *sha, const json_t *record,
                   struct devsite_ids *ret, struct err *err)
{
    *ret = (struct devsite_ids){0};
    int r = store_begin(s->site, err);
    if (r == 0)
        r = deploy(s, folder, sha, record, ret, err);
    if (r == 0)
        r = store_commit(s->site, err);
    if (r < 0)
        store_rollback(s->site);
    return r;
}

/* ---- what the runner wrote ---- */

int devsite_result(struct devsite *s, const struct devsite_ids *ids, struct devsite_result *ret,
                   struct err *err)
{
    *ret = (struct devsite_result){0};
    struct store *life = life_of(s, err);
    if (!life)
        return -err->code;
    struct store_stmt *q =
        store_query(life, err, "SELECT uid_index FROM spaces WHERE space_id = ?", "i", ids->space);
    int r = q ? store_step(q, err) : -err->code;
    if (r == 1) {
        ret->uid_index = (uint32_t)store_int(q, 0);
        store_reset(q);
    }
    if (r < 0)
        return r;
    /* none where it asks for nothing */
    q = store_query(life, err,
                    "SELECT env, layer, models FROM builds WHERE space_id = ? AND version_id = ?"
                    " AND state = 'done' ORDER BY id DESC LIMIT 1",
                    "ii", ids->space, ids->version);
    r = q ? store_step(q, err) : -err->code;
    if (r != 1)
        return r;
    snprintf(ret->env, sizeof(ret->env), "%s", store_text(q, 0));
    snprintf(ret->layer, sizeof(ret->layer), "%s", store_text(q, 1));
    snprintf(ret->models, sizeof(ret->models), "%s", store_text(q, 2));
    store_reset(q);
    return 0;
}

void devsite_reason(struct devsite *s, int64_t space, char *out, size_t size)
{
    struct err err = {0};
    struct store *life = life_of(s, &err);
    struct store_stmt *q =
        life ? store_query(life, &err, "SELECT reason FROM spaces WHERE space_id = ?", "i", space)
             : NULL;
    out[0] = 0;
    if (!q || store_step(q, &err) != 1)
        return;
    snprintf(out, size, "%s", store_text(q, 0));
    store_reset(q);
}

bool devsite_compiles(struct devsite *s)
{
    struct err err = {0};
    struct store *life = life_of(s, &err);
    struct store_stmt *q =
        life ? store_query(life, &err, "SELECT 1 FROM envs WHERE bytecode = 0 LIMIT 1", "") : NULL;
    bool any = q && store_step(q, &err) == 1;
    if (any)
        store_reset(q);
    return any;
}
