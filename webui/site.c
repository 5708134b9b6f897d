#include "webui/site.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/site_db.h"
#include "webui/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int site_open(struct site **ret, const char *path, struct err *err)
{
    _cleanup_free_ struct site *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    int r = store_open(&s->db, path, STORE_SITE, STORE_WRITE, err);
    if (r < 0)
        return r;
    pthread_mutex_init(&s->lock, NULL);
    *ret = steal_ptr(s);
    return 0;
}

void site_close(struct site *s)
{
    if (!s)
        return;
    /* SQLite would put the log into the file at the end, but not where it cannot see the file's
     * name any more. Readers are not waited for: the next one finds what is left in the log. */
    (void)store_exec(s->db, NULL, "PRAGMA busy_timeout = 0", "");
    (void)store_exec(s->db, NULL, "PRAGMA wal_checkpoint(TRUNCATE)", "");
    store_close(s->db);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

#define SPACE_COLUMNS                                                                              \
    "s.id, s.owner, s.name, s.label, s.version_id, s.created_ms, s.updated_ms, s.deleted_ms,"      \
    " (SELECT count(*) FROM versions c WHERE c.space_id = s.id),"                                  \
    " v.sha, v.title, v.emoji, v.color_from, v.color_to, v.short_description, v.sdk, "             \
    "v.created_ms,"                                                                                \
    " s.sleep_after_ms, s.kept, (SELECT count(*) FROM likes l WHERE l.space_id = s.id), "          \
    "v.content,"                                                                                   \
    " s.visibility, v.base_path, coalesce(nullif(s.hardware, ''), v.hardware), v.pinned,"          \
    " v.thumbnail"                                                                                 \
    " FROM spaces s LEFT JOIN versions v ON v.id = s.version_id "

static void read_space(struct store_stmt *q, struct space *sp)
{
    *sp = (struct space){.id = store_int(q, 0),
                         .version_id = store_int(q, 4),
                         .created_ms = store_int(q, 5),
                         .updated_ms = store_int(q, 6),
                         .deleted_ms = store_int(q, 7),
                         .versions_count = store_int(q, 8),
                         .submitted_ms = store_int(q, 16),
                         .sleep_after_ms = store_int(q, 17),
                         .kept = store_int(q, 18) == 1,
                         .likes = store_int(q, 19)};
    text_copy(sp->owner, sizeof sp->owner, store_text(q, 1));
    text_copy(sp->name, sizeof sp->name, store_text(q, 2));
    snprintf(sp->full, sizeof sp->full, "%s/%s", sp->owner, sp->name);
    text_copy(sp->label, sizeof sp->label, store_text(q, 3));
    text_copy(sp->sha, sizeof sp->sha, store_text(q, 9));
    text_copy(sp->title, sizeof sp->title, store_text(q, 10));
    text_copy(sp->emoji, sizeof sp->emoji, store_text(q, 11));
    text_copy(sp->color_from, sizeof sp->color_from, store_text(q, 12));
    text_copy(sp->color_to, sizeof sp->color_to, store_text(q, 13));
    text_copy(sp->short_description, sizeof sp->short_description, store_text(q, 14));
    text_copy(sp->sdk, sizeof sp->sdk, store_text(q, 15));
    text_copy(sp->content, sizeof sp->content, store_text(q, 20));
    text_copy(sp->visibility, sizeof sp->visibility, store_text(q, 21));
    text_copy(sp->base_path, sizeof sp->base_path, store_text(q, 22));
    text_copy(sp->hardware, sizeof sp->hardware, store_text(q, 23));
    sp->pinned = store_int(q, 24) != 0;
    text_copy(sp->thumbnail, sizeof sp->thumbnail, store_text(q, 25));
}

static int one_space(struct store_stmt *q, struct space *ret, struct err *err)
{
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    if (r == 1) {
        read_space(q, ret);
        store_reset(q);
    }
    return r;
}

int site_find_any(struct site *s, const char *owner, const char *name, struct space *ret,
                  struct err *err)
{
    WITH_LOCK(s);
    return one_space(store_query(s->db, err,
                                 "SELECT " SPACE_COLUMNS "WHERE s.owner = ? AND s.name = ?", "tt",
                                 owner, name),
                     ret, err);
}

int site_find(struct site *s, const char *owner, const char *name, struct space *ret,
              struct err *err)
{
    struct space found;
    int r = site_find_any(s, owner, name, &found, err);
    if (r != 1 || found.deleted_ms || (!found.version_id && !found.kept))
        return r < 0 ? r : 0;
    *ret = found;
    return 1;
}

int site_find_label(struct site *s, const char *label, struct space *ret, struct err *err)
{
    struct space found;
    WITH_LOCK(s);
    int r =
        one_space(store_query(s->db, err, "SELECT " SPACE_COLUMNS "WHERE s.label = ?", "t", label),
                  &found, err);
    if (r == 1 && !found.deleted_ms)
        *ret = found;
    return r == 1 ? !found.deleted_ms : r;
}

int site_find_moved(struct site *s, const char *owner, const char *name, const char *label,
                    struct space *ret, struct err *err)
{
    struct space found;
    WITH_LOCK(s);
    struct store_stmt *q =
        label ? store_query(s->db, err,
                            "SELECT " SPACE_COLUMNS
                            "WHERE s.id = (SELECT space_id FROM moved_spaces WHERE label = ?)",
                            "t", label)
              : store_query(s->db, err,
                            "SELECT " SPACE_COLUMNS "WHERE s.id = (SELECT space_id FROM"
                            " moved_spaces WHERE owner = ? AND name = ?)",
                            "tt", owner, name);
    int r = one_space(q, &found, err);
    if (r == 1 && !found.deleted_ms)
        *ret = found;
    return r == 1 ? !found.deleted_ms : r;
}

int site_set_visibility(struct site *s, int64_t space_id, const char *visibility,
                        int64_t *ret_command, struct err *err)
{
    WITH_LOCK(s);
    int r = store_begin(s->db, err);
    if (r < 0)
        return r;
    r = store_exec(s->db, err, "UPDATE spaces SET visibility = ? WHERE id = ?", "ti", visibility,
                   space_id);
    if (r == 0)
        r = site_add_command(s, space_id, "refresh", 0, ret_command, err);
    if (r == 0)
        r = store_commit(s->db, err);
    if (r < 0)
        store_rollback(s->db);
    return r;
}

int site_find_id(struct site *s, int64_t id, struct space *ret, struct err *err)
{
    WITH_LOCK(s);
    return one_space(store_query(s->db, err, "SELECT " SPACE_COLUMNS "WHERE s.id = ?", "i", id),
                     ret, err);
}

/* "%text%" with LIKE's own characters escaped by '!'. */
static char *like_pattern(const char *text)
{
    size_t len = strlen(text);
    char *out = malloc(2 * len + 3), *p = out;
    if (!out)
        return NULL;
    *p++ = '%';
    for (; *text; text++) {
        if (strchr("%_!", *text))
            *p++ = '!';
        *p++ = *text;
    }
    *p++ = '%';
    *p = 0;
    return out;
}

/* As owners_right has it: their own, and those of organisations where they are members. */
#define VISIBLE                                                                                    \
    " AND (?6 OR s.visibility <> 'private' OR s.owner IN (SELECT o.name FROM owners o"             \
    " WHERE o.id = ?7 UNION SELECT o.name FROM owners o JOIN members m ON m.org_id = o.id"         \
    " WHERE m.user_id = ?7))"

static const char *const list_sql[] = {
#define LIST(order)                                                                                \
    "SELECT " SPACE_COLUMNS                                                                        \
    "WHERE s.deleted_ms IS NULL AND (s.version_id IS NOT NULL OR s.kept = 1)"                      \
    " AND (?1 IS NULL OR s.owner = ?1)"                                                            \
    " AND (s.owner || '/' || s.name LIKE ?2 ESCAPE '!' OR v.title LIKE ?2 ESCAPE '!'"              \
    " OR v.short_description LIKE ?2 ESCAPE '!')"                                                  \
    " AND (?3 IS NULL OR v.sdk = ?3 OR EXISTS (SELECT 1 FROM json_each(v.card, '$.tags') t"        \
    " WHERE t.value = ?3))" VISIBLE " ORDER BY " order " DESC, s.id DESC LIMIT ?4 OFFSET ?5"
    [SITE_BY_CHANGE] = LIST("s.updated_ms"),
    [SITE_BY_CREATION] = LIST("s.created_ms"),
    [SITE_BY_LIKES] = LIST("(SELECT count(*) FROM likes l WHERE l.space_id = s.id)"),
#undef LIST
};

int site_list(struct site *s, const struct site_search *search, struct site_list *ret,
              struct err *err)
{
    size_t limit = search->limit;
    _cleanup_free_ char *like = like_pattern(search->text ? search->text : "");
    _cleanup_free_ struct space *rows = calloc(limit + 1, sizeof *rows);
    if (!like || !rows)
        return err_set(err, ENOMEM, "out of memory");
    WITH_LOCK(s);
    struct store_stmt *q =
        store_query(s->db, err, list_sql[search->order], "tttiiii", search->author, like,
                    search->tag, (int64_t)limit + 1, (int64_t)search->offset,
                    (int64_t)search->viewer.all, search->viewer.user_id);
    if (!q)
        return -EIO;
    size_t n = 0;
    int r;
    while ((r = store_step(q, err)) == 1) {
        if (n <= limit)
            read_space(q, &rows[n++]);
    }
    if (r < 0)
        return r;
    *ret = (struct site_list){.n = n > limit ? limit : n, .more = n > limit};
    ret->rows = steal_ptr(rows);
    return 0;
}

static const char *text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return text ? text : "";
}

static int64_t number_of(const json_t *record, const char *key)
{
    return json_integer_value(json_object_get(record, key));
}

int site_add_command(struct site *s, int64_t space_id, const char *verb, int64_t version_id,
                     int64_t *ret_id, struct err *err)
{
    int r = store_exec(s->db, err,
                       "INSERT INTO commands (space_id, verb, version_id, created_ms)"
                       " VALUES (?, ?, nullif(?, 0), ?)",
                       "itii", space_id, verb, version_id, (int64_t)now_ms());
    if (r == 0)
        *ret_id = store_last_id(s->db);
    return r;
}

static int deploy_in_transaction(struct site *s, int64_t space_id, const json_t *record,
                                 const char *card, const char *message, int64_t *ret_command,
                                 struct err *err)
{
    int64_t now = (int64_t)now_ms();
    int r = store_exec(
        s->db, err,
        "INSERT INTO versions (space_id, sha, title, emoji, color_from, color_to,"
        " short_description, sdk, app_file, app_port, base_path, start_timeout_ms, card, readme,"
        " files, bytes, content, message, created_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?)",
        "ittttttttititt"
        "iitti",
        space_id, text_of(record, "sha"), text_of(record, "title"), text_of(record, "emoji"),
        text_of(record, "color_from"), text_of(record, "color_to"),
        text_of(record, "short_description"), text_of(record, "sdk"), text_of(record, "app_file"),
        number_of(record, "app_port"), text_of(record, "base_path"),
        number_of(record, "start_timeout_ms"), card, text_of(record, "readme"),
        number_of(record, "files"), number_of(record, "bytes"), text_of(record, "content"), message,
        now);
    if (r < 0)
        return r;
    int64_t version_id = store_last_id(s->db);
    r = site_card_apply(s, version_id, json_object_get(record, "card"), err);
    if (r < 0)
        return r;
    r = store_exec(s->db, err, "UPDATE spaces SET version_id = ?, updated_ms = ? WHERE id = ?",
                   "iii", version_id, now, space_id);
    return r < 0 ? r : site_add_command(s, space_id, "deploy", version_id, ret_command, err);
}

int site_deploy(struct site *s, int64_t space_id, const json_t *record, const char *message,
                int64_t *ret_command, struct err *err)
{
    const json_t *front = json_object_get(record, "card");
    _cleanup_free_ char *card = front ? json_dumps(front, JSON_COMPACT) : strdup("{}");
    if (!card)
        return err_set(err, ENOMEM, "out of memory");
    WITH_LOCK(s);
    int r = store_begin(s->db, err);
    if (r < 0)
        return r;
    r = deploy_in_transaction(s, space_id, record, card, message, ret_command, err);
    if (r == 0)
        r = store_commit(s->db, err);
    if (r < 0)
        store_rollback(s->db);
    return r;
}

int site_undo_deploy(struct site *s, int64_t space_id, int64_t previous_version, struct err *err)
{
    WITH_LOCK(s);
    return store_exec(s->db, err, "UPDATE spaces SET version_id = nullif(?, 0) WHERE id = ?", "ii",
                      previous_version, space_id);
}

int site_command(struct site *s, int64_t space_id, const char *verb, int64_t *ret_id,
                 struct err *err)
{
    WITH_LOCK(s);
    return site_add_command(s, space_id, verb, 0, ret_id, err);
}

static int delete_in_transaction(struct site *s, int64_t space_id, int64_t *ret_command,
                                 struct err *err)
{
    struct store_stmt *q = store_query(
        s->db, err, "SELECT max(id) FROM commands WHERE space_id = ? AND verb = 'delete'", "i",
        space_id);
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    int64_t earlier = r == 1 ? store_int(q, 0) : 0;
    store_reset(q);
    if (r < 0)
        return r;
    if (earlier) {
        *ret_command = earlier;
        return 0;
    }
    r = store_exec(s->db, err, "UPDATE spaces SET deleted_ms = ? WHERE id = ?", "ii",
                   (int64_t)now_ms(), space_id);
    return r < 0 ? r : site_add_command(s, space_id, "delete", 0, ret_command, err);
}

int site_delete(struct site *s, int64_t space_id, int64_t *ret_command, struct err *err)
{
    WITH_LOCK(s);
    int r = store_begin(s->db, err);
    if (r < 0)
        return r;
    r = delete_in_transaction(s, space_id, ret_command, err);
    if (r == 0)
        r = store_commit(s->db, err);
    if (r < 0)
        store_rollback(s->db);
    return r;
}

int site_limits(struct site *s, int64_t space_id, struct site_limits *ret, struct err *err)
{
    WITH_LOCK(s);
    *ret = (struct site_limits){0};
    struct store_stmt *q = store_query(
        s->db, err, "SELECT name, value FROM space_limits WHERE space_id = ?", "i", space_id);
    if (!q)
        return -EIO;
    int r;
    while ((r = store_step(q, err)) == 1) {
        enum space_limit which = space_limit_find(store_text(q, 0));
        if (which == LIMIT_COUNT)
            continue;
        ret->has[which] = true;
        ret->own.v[which] = (uint64_t)store_int(q, 1);
    }
    return r;
}

int site_set_limits(struct site *s, int64_t space_id, const struct site_limits *l, struct err *err)
{
    WITH_LOCK(s);
    int r = store_begin(s->db, err);
    if (r < 0)
        return r;
    r = store_exec(s->db, err, "DELETE FROM space_limits WHERE space_id = ?", "i", space_id);
    for (int i = 0; r == 0 && i < LIMIT_COUNT; i++)
        if (l->has[i])
            r = store_exec(
                s->db, err, "INSERT INTO space_limits (space_id, name, value) VALUES (?, ?, ?)",
                "iti", space_id, space_limit_name((enum space_limit)i), (int64_t)l->own.v[i]);
    if (r == 0)
        r = store_commit(s->db, err);
    if (r < 0)
        store_rollback(s->db);
    return r;
}

int site_remove(struct site *s, int64_t space_id, struct err *err)
{
    WITH_LOCK(s);
    return store_exec(s->db, err, "DELETE FROM spaces WHERE id = ?", "i", space_id);
}

int site_leftovers(struct site *s, struct site_deleted **ret, size_t *ret_n, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q =
        store_query(s->db, err,
                    "SELECT s.id, (SELECT max(c.id) FROM commands c WHERE c.space_id = s.id"
                    " AND c.verb = 'delete') FROM spaces s WHERE s.deleted_ms IS NOT NULL OR "
                    "(s.version_id IS NULL AND s.kept = 0)",
                    "");
    if (!q)
        return -EIO;
    _cleanup_free_ struct site_deleted *rows = NULL;
    size_t n = 0;
    int r;
    while ((r = store_step(q, err)) == 1) {
        struct site_deleted *more = reallocarray(rows, n + 1, sizeof *rows);
        if (!more) {
            store_reset(q);
            return err_set(err, ENOMEM, "out of memory");
        }
        rows = more;
        rows[n++] = (struct site_deleted){store_int(q, 0), store_int(q, 1)};
    }
    if (r < 0)
        return r;
    *ret = steal_ptr(rows);
    *ret_n = n;
    return 0;
}

int site_version_sha(struct site *s, int64_t version_id, char out[65], struct err *err)
{
    WITH_LOCK(s);
    out[0] = 0;
    struct store_stmt *q =
        store_query(s->db, err, "SELECT sha FROM versions WHERE id = ?", "i", version_id);
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    if (r == 1) {
        text_copy(out, 65, store_text(q, 0));
        store_reset(q);
    }
    return r < 0 ? r : 0;
}

int site_version_texts(struct site *s, int64_t version_id, char **ret_readme, char **ret_card,
                       struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q =
        store_query(s->db, err, "SELECT readme, card FROM versions WHERE id = ?", "i", version_id);
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *readme = strdup(r == 1 ? store_text(q, 0) : "");
    _cleanup_free_ char *card = strdup(r == 1 ? store_text(q, 1) : "{}");
    store_reset(q);
    if (!readme || !card)
        return err_set(err, ENOMEM, "out of memory");
    *ret_readme = steal_ptr(readme);
    *ret_card = steal_ptr(card);
    return 0;
}
