#include "webui/owners.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/site_db.h"
#include "webui/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const char *const names[] = {"none", "read", "write", "admin"};

const char *right_name(enum right r)
{
    return names[r];
}

bool right_parse(const char *name, enum right *ret)
{
    for (enum right r = MAY_READ; r <= MAY_ADMIN; r++)
        if (strcmp(name, names[r]) == 0) {
            *ret = r;
            return true;
        }
    return false;
}

static int find(struct site *s, const char *name, struct owner *ret, struct err *err)
{
    struct store_stmt *q =
        store_query(s->db, err, "SELECT id, name, is_org FROM owners WHERE name = ?", "t", name);
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    if (r == 1) {
        *ret = (struct owner){.id = store_int(q, 0), .is_org = store_int(q, 2) == 1};
        text_copy(ret->name, sizeof ret->name, store_text(q, 1));
        store_reset(q);
    }
    return r;
}

int owners_find(struct site *s, const char *name, struct owner *ret, struct err *err)
{
    WITH_LOCK(s);
    return find(s, name, ret, err);
}

/* As find, but one who is not there is an error. */
static int must_find(struct site *s, const char *name, struct owner *ret, struct err *err)
{
    int r = find(s, name, ret, err);
    return r == 0 ? err_set(err, ENOENT,
                            "there is no user or organisation \"%s\": `vitrine user add` makes one",
                            name)
                  : r;
}

int owners_add(struct site *s, const char *name, bool is_org, struct err *err)
{
    int r = name_check(name, "name", err);
    if (r < 0)
        return r;
    if (strcasecmp(name, OPERATOR_NAME) == 0)
        return err_set(err, EINVAL, "\"%s\" is the holder of the admin token: choose another name",
                       name);
    WITH_LOCK(s);
    r = store_exec(s->db, err, "INSERT INTO owners (name, is_org, created_ms) VALUES (?, ?, ?)",
                   "tii", name, (int64_t)is_org, (int64_t)now_ms());
    if (r == -EEXIST)
        return err_set(err, EEXIST, "there is a user or organisation \"%s\" already", name);
    return r;
}

/* 1 where the query has a row with a number above 0 in it. */
static int any(struct store_stmt *q, struct err *err)
{
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    if (r == 1) {
        r = store_int(q, 0) > 0;
        store_reset(q);
    }
    return r;
}

int owners_delete(struct site *s, const char *name, struct err *err)
{
    WITH_LOCK(s);
    struct owner o = {0};
    int r = must_find(s, name, &o, err);
    if (r < 0)
        return r;
    r = any(store_query(s->db, err,
                        "SELECT count(*) FROM spaces WHERE owner = ? AND deleted_ms IS NULL", "t",
                        o.name),
            err);
    if (r == 1)
        return err_set(err, EBUSY, "%s has Spaces: delete or move them first", o.name);
    return r < 0 ? r : store_exec(s->db, err, "DELETE FROM owners WHERE id = ?", "i", o.id);
}

int owners_set_member(struct site *s, const char *org, const char *user, enum right right,
                      struct err *err)
{
    WITH_LOCK(s);
    struct owner o = {0}, u = {0};
    int r = must_find(s, org, &o, err);
    if (r == 1)
        r = must_find(s, user, &u, err);
    if (r < 0)
        return r;
    if (!o.is_org)
        return err_set(err, EINVAL, "%s is a user: only organisations have members", o.name);
    if (u.is_org)
        return err_set(err, EINVAL, "%s is an organisation: only users can be members", u.name);
    if (right == MAY_NOTHING)
        return store_exec(s->db, err, "DELETE FROM members WHERE org_id = ? AND user_id = ?", "ii",
                          o.id, u.id);
    return store_exec(s->db, err,
                      "INSERT INTO members (org_id, user_id, role) VALUES (?, ?, ?)"
                      " ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role",
                      "iit", o.id, u.id, right_name(right));
}

int owners_right(struct site *s, int64_t user_id, const char *owner, enum right *ret,
                 struct err *err)
{
    WITH_LOCK(s);
    *ret = MAY_NOTHING;
    struct store_stmt *q =
        store_query(s->db, err,
                    "SELECT CASE WHEN o.id = ?1 THEN 'admin' ELSE m.role END FROM owners o"
                    " LEFT JOIN members m ON m.org_id = o.id AND m.user_id = ?1 WHERE o.name = ?2",
                    "it", user_id, owner);
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    if (r == 1) {
        (void)right_parse(store_text(q, 0), ret);
        store_reset(q);
    }
    return r < 0 ? r : 0;
}

static json_t *owner_json(struct store_stmt *q)
{
    char created[25];
    time_iso((uint64_t)store_int(q, 2), created);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:[]}", "name", store_text(q, 0), "type",
                     store_int(q, 1) ? "org" : "user", "createdAt", created, "spaces",
                     (json_int_t)store_int(q, 3), "tokens", (json_int_t)store_int(q, 4), "members");
}

/* Puts each organisation's members into its object; both come in the order of names. */
static int add_members(struct site *s, json_t *owners, struct err *err)
{
    struct store_stmt *q = store_query(s->db, err,
                                       "SELECT o.name, u.name, m.role FROM members m"
                                       " JOIN owners o ON o.id = m.org_id"
                                       " JOIN owners u ON u.id = m.user_id ORDER BY o.name, u.name",
                                       "");
    if (!q)
        return -EIO;
    size_t i = 0;
    int r;
    while ((r = store_step(q, err)) == 1) {
        json_t *o = NULL;
        while ((o = json_array_get(owners, i)) &&
               strcasecmp(json_string_value(json_object_get(o, "name")), store_text(q, 0)) < 0)
            i++;
        if (o && strcmp(json_string_value(json_object_get(o, "name")), store_text(q, 0)) == 0)
            json_array_append_new(
                json_object_get(o, "members"),
                json_pack("{s:s, s:s}", "user", store_text(q, 1), "role", store_text(q, 2)));
    }
    return r;
}

json_t *owners_json(struct site *s, const char *only, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q = store_query(
        s->db, err,
        "SELECT o.name, o.is_org, o.created_ms,"
        " (SELECT count(*) FROM spaces s WHERE s.owner = o.name AND s.deleted_ms IS NULL),"
        " (SELECT count(*) FROM tokens t WHERE t.user_id = o.id)"
        " FROM owners o WHERE ?1 IS NULL OR o.name = ?1 ORDER BY o.name",
        "t", only);
    if (!q)
        return NULL;
    json_t *out = json_array();
    int r;
    while ((r = store_step(q, err)) == 1)
        json_array_append_new(out, owner_json(q));
    if (r == 0)
        r = add_members(s, out, err);
    if (r < 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

json_t *owners_orgs_json(struct site *s, int64_t user_id, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q =
        store_query(s->db, err,
                    "SELECT o.name, m.role FROM members m JOIN owners o ON o.id = m.org_id"
                    " WHERE m.user_id = ? ORDER BY o.name",
                    "i", user_id);
    if (!q)
        return NULL;
    json_t *out = json_array();
    int r;
    while ((r = store_step(q, err)) == 1)
        json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:s, s:b}", "type", "org", "name",
                                             store_text(q, 0), "fullname", store_text(q, 0),
                                             "roleInOrg", store_text(q, 1), "isEnterprise", 0));
    if (r < 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

json_t *owners_overview(struct site *s, const char *name, bool all, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q = store_query(
        s->db, err,
        "SELECT o.name, o.is_org, o.created_ms,"
        " (SELECT count(*) FROM spaces s WHERE s.owner = o.name COLLATE NOCASE AND"
        "  s.deleted_ms IS NULL AND (s.version_id IS NOT NULL OR s.kept = 1)"
        "  AND (?2 OR s.visibility <> 'private')),"
        " (SELECT count(*) FROM members m WHERE m.org_id = o.id),"
        " (SELECT count(*) FROM likes l JOIN spaces s ON s.id = l.space_id WHERE l.user_id = o.id"
        "  AND (?2 OR s.visibility <> 'private')),"
        " (SELECT count(*) FROM discussions d JOIN spaces s ON s.id = d.space_id"
        "  WHERE d.author = o.name AND (?2 OR s.visibility <> 'private'))"
        " FROM owners o WHERE o.name = ?1",
        "ti", name, (int64_t)all);
    int r = q ? store_step(q, err) : -EIO;
    if (r == 0)
        err_set(err, ENOENT, "there is no user or organisation \"%s\"", name);
    if (r != 1)
        return NULL;
    char created[25];
    bool is_org = store_int(q, 1) != 0;
    time_iso((uint64_t)store_int(q, 2), created);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:i, s:i, s:b}", "type",
                          is_org ? "org" : "user", is_org ? "name" : "user", store_text(q, 0),
                          "fullname", store_text(q, 0), "avatarUrl", "", "createdAt", created,
                          "numSpaces", (json_int_t)store_int(q, 3), "numModels", 0, "numDatasets",
                          0, "numFollowers", 0, "isFollowing", 0);
    if (is_org) {
        json_object_set_new(o, "numUsers", json_integer(store_int(q, 4)));
        json_object_set_new(o, "isVerified", json_false());
    } else {
        json_object_set_new(o, "numLikes", json_integer(store_int(q, 5)));
        json_object_set_new(o, "numDiscussions", json_integer(store_int(q, 6)));
        json_object_set_new(o, "isPro", json_false());
    }
    store_reset(q);
    return o;
}
