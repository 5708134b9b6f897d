#include "webui/community.h"

#include "common/util.h"
#include "webui/site_db.h"
#include "webui/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TITLE_MIN 3
#define TITLE_MAX 200
#define TEXT_MAX 65536
#define EVENTS_MAX 1000  /* of a discussion, which is answered as a whole */
#define CHANGES_MORE 100 /* one that is full can still be closed */
#define DISCUSSIONS_MAX 10000
#define LIKED_MAX 10000

int community_like(struct site *s, int64_t space_id, int64_t user_id, bool likes, struct err *err)
{
    WITH_LOCK(s);
    if (!likes)
        return store_exec(s->db, err, "DELETE FROM likes WHERE space_id = ? AND user_id = ?", "ii",
                          space_id, user_id);
    return store_exec(s->db, err,
                      "INSERT OR IGNORE INTO likes (space_id, user_id, created_ms)"
                      " VALUES (?, ?, ?)",
                      "iii", space_id, user_id, (int64_t)now_ms());
}

json_t *community_likers(struct site *s, int64_t space_id, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q = store_query(s->db, err,
                                       "SELECT o.name FROM likes l JOIN owners o ON o.id ="
                                       " l.user_id WHERE l.space_id = ? ORDER BY l.created_ms DESC",
                                       "i", space_id);
    if (!q)
        return NULL;
    json_t *out = json_array();
    int r;
    while ((r = store_step(q, err)) == 1)
        json_array_append_new(out, json_pack("{s:s, s:s, s:s}", "user", store_text(q, 0),
                                             "fullname", store_text(q, 0), "avatarUrl", ""));
    if (r < 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

json_t *community_liked(struct site *s, const char *user, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q =
        store_query(s->db, err,
                    "SELECT l.created_ms, s.owner, s.name, s.visibility FROM likes l JOIN owners o"
                    " ON o.id = l.user_id JOIN spaces s ON s.id = l.space_id WHERE o.name = ?"
                    " AND s.deleted_ms IS NULL ORDER BY l.created_ms DESC LIMIT ?",
                    "ti", user, (int64_t)LIKED_MAX);
    if (!q)
        return NULL;
    json_t *out = json_array();
    int r;
    while ((r = store_step(q, err)) == 1) {
        char at[25], name[256];
        time_iso((uint64_t)store_int(q, 0), at);
        snprintf(name, sizeof name, "%s/%s", store_text(q, 1), store_text(q, 2));
        json_array_append_new(out, json_pack("{s:s, s:{s:s, s:s}, s:s, s:s}", "createdAt", at,
                                             "repo", "name", name, "type", "space", "owner",
                                             store_text(q, 1), "visibility", store_text(q, 3)));
    }
    if (r < 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

/* ---- discussions ---------------------------------------------------------------------------- */

static int check_title(const char *title, struct err *err)
{
    size_t len = strlen(title);
    if (len < TITLE_MIN || len > TITLE_MAX)
        return err_set(err, EINVAL, "a title has %d to %d characters, this one has %zu", TITLE_MIN,
                       TITLE_MAX, len);
    return 0;
}

static int check_text(const char *text, struct err *err)
{
    if (!*text || strlen(text) > TEXT_MAX)
        return err_set(err, EINVAL, "a comment is a text of at most %d bytes", TEXT_MAX);
    return 0;
}

struct event {
    const char *type, *author, *text, *before;
};

static int check_room(struct site *s, int64_t space_id, int64_t num, bool comment, struct err *err)
{
    struct store_stmt *q = store_query(
        s->db, err, "SELECT count(*) FROM discussion_events WHERE space_id = ? AND num = ?", "ii",
        space_id, num);
    int r = q ? store_step(q, err) : -EIO;
    if (r < 0)
        return r;
    bool full = store_int(q, 0) >= (comment ? EVENTS_MAX : EVENTS_MAX + CHANGES_MORE);
    store_reset(q);
    return full ? err_set(err, EINVAL,
                          "this discussion has %d comments and changes, which are the most: open "
                          "another one",
                          EVENTS_MAX)
                : 0;
}

static int add_event(struct site *s, int64_t space_id, int64_t num, const struct event *e,
                     struct err *err)
{
    return store_exec(
        s->db, err,
        "INSERT INTO discussion_events (space_id, num, type, author, created_ms, text,"
        " before) VALUES (?, ?, ?, ?, ?, ?, ?)",
        "iittitt", space_id, num, e->type, e->author, (int64_t)now_ms(), e->text,
        e->before ? e->before : "");
}

static int open_in_transaction(struct site *s, int64_t space_id, const char *author,
                               const char *title, const char *text, int64_t *ret_num,
                               struct err *err)
{
    struct store_stmt *q = store_query(
        s->db, err, "SELECT coalesce(max(num), 0) + 1 FROM discussions WHERE space_id = ?", "i",
        space_id);
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    int64_t num = r == 1 ? store_int(q, 0) : 0;
    store_reset(q);
    if (r < 0)
        return r;
    if (num > DISCUSSIONS_MAX)
        return err_set(err, EINVAL, "the Space has %d discussions, which are the most",
                       DISCUSSIONS_MAX);
    r = store_exec(s->db, err,
                   "INSERT INTO discussions (space_id, num, title, status, author, created_ms)"
                   " VALUES (?, ?, ?, 'open', ?, ?)",
                   "iitti", space_id, num, title, author, (int64_t)now_ms());
    if (r < 0)
        return r;
    *ret_num = num;
    const struct event first = {"comment", author, text, NULL};
    return add_event(s, space_id, num, &first, err);
}

int community_open(struct site *s, int64_t space_id, const char *author, const char *title,
                   const char *text, int64_t *ret_num, struct err *err)
{
    int r = check_title(title, err);
    if (r < 0 || (r = check_text(text, err)) < 0)
        return r;
    WITH_LOCK(s);
    r = store_begin(s->db, err);
    if (r < 0)
        return r;
    r = open_in_transaction(s, space_id, author, title, text, ret_num, err);
    if (r == 0)
        r = store_commit(s->db, err);
    if (r < 0)
        store_rollback(s->db);
    return r;
}

#define DISCUSSION "num, title, status, author, created_ms FROM discussions "

static json_t *discussion_json(struct store_stmt *q, const struct space *space)
{
    char created[25];
    time_iso((uint64_t)store_int(q, 4), created);
    return json_pack("{s:I, s:s, s:s, s:{s:s}, s:s, s:b, s:b, s:{s:s, s:s}}", "num",
                     (json_int_t)store_int(q, 0), "title", store_text(q, 1), "status",
                     store_text(q, 2), "author", "name", store_text(q, 3), "createdAt", created,
                     "isPullRequest", 0, "pinned", 0, "repo", "name", space->full, "type", "space");
}

json_t *community_list(struct site *s, const struct space *space,
                       const struct community_search *search, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q = store_query(
        s->db, err,
        "SELECT count(*) FROM discussions WHERE space_id = ?1 AND (?2 IS NULL OR status = ?2)"
        " AND (?3 IS NULL OR author = ?3 COLLATE NOCASE)",
        "itt", space->id, search->status, search->author);
    int r = q ? store_step(q, err) : -EIO;
    if (r < 0)
        return NULL;
    int64_t count = store_int(q, 0);
    store_reset(q);
    q = store_query(s->db, err,
                    "SELECT " DISCUSSION "WHERE space_id = ?1 AND (?2 IS NULL OR status = ?2)"
                    " AND (?3 IS NULL OR author = ?3 COLLATE NOCASE)"
                    " ORDER BY num DESC LIMIT ?4 OFFSET ?5",
                    "ittii", space->id, search->status, search->author, (int64_t)search->limit,
                    (int64_t)search->offset);
    if (!q)
        return NULL;
    json_t *list = json_array();
    while ((r = store_step(q, err)) == 1)
        json_array_append_new(list, discussion_json(q, space));
    if (r < 0) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:I, s:I, s:o}", "count", (json_int_t)count, "start",
                     (json_int_t)search->offset, "discussions", list);
}

#define EVENT "id, type, author, created_ms, text, before, edited, hidden FROM discussion_events "

static json_t *event_data(struct store_stmt *q)
{
    const char *type = store_text(q, 1), *text = store_text(q, 4);
    bool hidden = store_int(q, 7) == 1;
    if (strcmp(type, "comment") == 0)
        return json_pack("{s:b, s:b, s:{s:s}}", "edited", store_int(q, 6) == 1, "hidden", hidden,
                         "latest", "raw", hidden ? "" : text);
    if (strcmp(type, "status-change") == 0)
        return json_pack("{s:s}", "status", text);
    return json_pack("{s:s, s:s}", "from", store_text(q, 5), "to", text);
}

static json_t *event_json(struct store_stmt *q)
{
    char created[25], id[32];
    time_iso((uint64_t)store_int(q, 3), created);
    snprintf(id, sizeof id, "%lld", (long long)store_int(q, 0));
    return json_pack("{s:s, s:s, s:{s:s}, s:s, s:o}", "id", id, "type", store_text(q, 1), "author",
                     "name", store_text(q, 2), "createdAt", created, "data", event_data(q));
}

static int none(int64_t num, struct err *err)
{
    return err_set(err, ENOENT, "there is no discussion %lld", (long long)num);
}

json_t *community_details(struct site *s, const struct space *space, int64_t num, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q = store_query(
        s->db, err, "SELECT " DISCUSSION "WHERE space_id = ? AND num = ?", "ii", space->id, num);
    int r = q ? store_step(q, err) : -EIO;
    if (r == 0)
        none(num, err);
    if (r != 1)
        return NULL;
    json_t *out = discussion_json(q, space), *events = json_array();
    store_reset(q);
    q = store_query(s->db, err, "SELECT " EVENT "WHERE space_id = ? AND num = ? ORDER BY id", "ii",
                    space->id, num);
    while (q && (r = store_step(q, err)) == 1)
        json_array_append_new(events, event_json(q));
    json_object_set_new(out, "events", events);
    if (q && r == 0)
        return out;
    json_decref(out);
    return NULL;
}

static json_t *event_of(struct site *s, int64_t space_id, int64_t num, int64_t id, struct err *err)
{
    struct store_stmt *q =
        store_query(s->db, err, "SELECT " EVENT "WHERE id = ? AND space_id = ? AND num = ?", "iii",
                    id, space_id, num);
    int r = q ? store_step(q, err) : -EIO;
    if (r == 0)
        err_set(err, ENOENT, "there is no such comment in discussion %lld", (long long)num);
    if (r != 1)
        return NULL;
    json_t *out = event_json(q);
    store_reset(q);
    return out;
}

/* A change of the discussion's row with the event that tells of it. `sql` binds text, Space,
 * number. */
static json_t *change(struct site *s, int64_t space_id, int64_t num, const char *sql,
                      const struct event *e, struct err *err)
{
    int r = store_begin(s->db, err);
    if (r < 0)
        return NULL;
    r = store_exec(s->db, err, sql, "tii", e->text, space_id, num);
    if (r == 0 && store_changes(s->db) == 0)
        r = none(num, err);
    if (r == 0)
        r = check_room(s, space_id, num, strcmp(e->type, "comment") == 0, err);
    if (r == 0)
        r = add_event(s, space_id, num, e, err);
    int64_t id = store_last_id(s->db);
    if (r == 0)
        r = store_commit(s->db, err);
    if (r < 0) {
        store_rollback(s->db);
        return NULL;
    }
    return event_of(s, space_id, num, id, err);
}

json_t *community_comment(struct site *s, int64_t space_id, int64_t num, const char *author,
                          const char *text, struct err *err)
{
    const struct event e = {"comment", author, text, NULL};
    if (check_text(text, err) < 0)
        return NULL;
    WITH_LOCK(s);
    /* Nothing of the row changes; it has to be there. */
    return change(s, space_id, num,
                  "UPDATE discussions SET num = num WHERE ?1 <> '' AND space_id = ?2 AND num = ?3",
                  &e, err);
}

json_t *community_status(struct site *s, int64_t space_id, int64_t num, const char *author,
                         const char *status, struct err *err)
{
    const struct event e = {"status-change", author, status, NULL};
    if (strcmp(status, "open") != 0 && strcmp(status, "closed") != 0) {
        err_set(err, EINVAL, "a discussion is \"open\" or \"closed\", not \"%.20s\"", status);
        return NULL;
    }
    WITH_LOCK(s);
    return change(s, space_id, num,
                  "UPDATE discussions SET status = ? WHERE space_id = ? AND num = ?", &e, err);
}

json_t *community_title(struct site *s, int64_t space_id, int64_t num, const char *author,
                        const char *title, struct err *err)
{
    if (check_title(title, err) < 0)
        return NULL;
    WITH_LOCK(s);
    char before[TITLE_MAX + 1] = "";
    struct store_stmt *q =
        store_query(s->db, err, "SELECT title FROM discussions WHERE space_id = ? AND num = ?",
                    "ii", space_id, num);
    if (!q)
        return NULL;
    if (store_step(q, err) == 1)
        text_copy(before, sizeof before, store_text(q, 0));
    store_reset(q);
    const struct event e = {"title-change", author, title, before};
    return change(s, space_id, num,
                  "UPDATE discussions SET title = ? WHERE space_id = ? AND num = ?", &e, err);
}

int community_author(struct site *s, int64_t space_id, int64_t num, int64_t comment, char out[97],
                     struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q = store_query(
        s->db, err,
        "SELECT author FROM discussions WHERE ?3 = 0 AND space_id = ?1 AND num = ?2 UNION ALL"
        " SELECT author FROM discussion_events WHERE id = ?3 AND space_id = ?1 AND num = ?2"
        " AND type = 'comment'",
        "iii", space_id, num, comment);
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    if (r == 1)
        text_copy(out, 97, store_text(q, 0));
    store_reset(q);
    return r;
}

static json_t *change_comment(struct site *s, int64_t space_id, int64_t num, int64_t comment,
                              const char *sql, const char *text, struct err *err)
{
    WITH_LOCK(s);
    if (store_exec(s->db, err, sql, "tiii", text, comment, space_id, num) < 0)
        return NULL;
    return event_of(s, space_id, num, comment, err);
}

json_t *community_edit(struct site *s, int64_t space_id, int64_t num, int64_t comment,
                       const char *text, struct err *err)
{
    if (check_text(text, err) < 0)
        return NULL;
    return change_comment(s, space_id, num, comment,
                          "UPDATE discussion_events SET text = ?, edited = 1 WHERE id = ? AND"
                          " space_id = ? AND num = ? AND type = 'comment' AND hidden = 0",
                          text, err);
}

json_t *community_hide(struct site *s, int64_t space_id, int64_t num, int64_t comment,
                       struct err *err)
{
    return change_comment(s, space_id, num, comment,
                          "UPDATE discussion_events SET text = ?, hidden = 1 WHERE id = ? AND"
                          " space_id = ? AND num = ? AND type = 'comment'",
                          "", err);
}
