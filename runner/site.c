#include "runner/site.h"

#include "common/buf.h"
#include "common/conf.h"
#include "common/flavours.h"
#include "runner/runner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PORT_DEFAULT 7860
#define PORT_STREAMLIT 8501

static struct store *site(struct runner *r, struct err *err)
{
    if (!r->site) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/site.db", r->data);
        if (store_open(&r->site, path, STORE_SITE, STORE_READ, err) < 0)
            r->site = NULL;
    }
    return r->site;
}

static struct store_stmt *query(struct runner *r, struct err *err, const char *sql, uint64_t a,
                                uint64_t b)
{
    struct store *s = site(r, err);
    if (!s)
        return NULL;
    return b == UINT64_MAX ? store_query(s, err, sql, "i", (int64_t)a)
                           : store_query(s, err, sql, "ii", (int64_t)a, (int64_t)b);
}

/* Copies a text column; what does not fit is cut. */
static void text(struct store_stmt *q, int column, char *out, size_t size)
{
    snprintf(out, size, "%s", store_text(q, column));
}

/* The folder of a version is named by it. webui takes it from a job's record, but a webui that was
 * taken over writes what it likes. */
static bool is_sha(const char *sha)
{
    size_t len = strlen(sha); /* a commit's, or the hash over a tree of before there were commits */
    return (len == 40 || len == 64) && strspn(sha, "0123456789abcdef") == len;
}

int site_space(struct runner *r, uint64_t id, struct site_space *ret, struct err *err)
{
    struct err local = {0};
    err = err ? err : &local;
    struct store_stmt *q =
        query(r, err,
              "SELECT owner, name, label, version_id, sleep_after_ms, deleted_ms,"
              " visibility FROM spaces WHERE id = ?",
              id, UINT64_MAX);
    int n = q ? store_step(q, err) : -err->code;
    if (n != 1)
        return n;
    *ret = (struct site_space){.id = id};
    text(q, 0, ret->owner, sizeof(ret->owner));
    text(q, 1, ret->name, sizeof(ret->name));
    text(q, 2, ret->label, sizeof(ret->label));
    ret->version_id = (uint64_t)store_int(q, 3);
    ret->sleep_after_ms =
        store_is_null(q, 4) ? conf_of(r)->lifecycle_sleep_after : (uint64_t)store_int(q, 4);
    ret->deleted = !store_is_null(q, 5);
    const char *visibility = store_text(q, 6);
    ret->is_private = strcmp(visibility, "public") != 0 && strcmp(visibility, "protected") != 0;
    store_reset(q);
    return 1;
}

int site_space_id(struct runner *r, const char *label, uint64_t *ret_id, struct err *err)
{
    struct err local = {0};
    err = err ? err : &local;
    struct store *s = site(r, err);
    struct store_stmt *q =
        s ? store_query(s, err, "SELECT id FROM spaces WHERE label = ? AND deleted_ms IS NULL", "t",
                        label)
          : NULL;
    int n = q ? store_step(q, err) : -err->code;
    if (n != 1)
        return n;
    *ret_id = (uint64_t)store_int(q, 0);
    store_reset(q);
    return 1;
}

bool site_label_moved(struct runner *r, const char *label)
{
    struct err err = {0};
    struct store *s = site(r, &err);
    struct store_stmt *q =
        s ? store_query(s, &err,
                        "SELECT 1 FROM moved_spaces m JOIN spaces s ON s.id = m.space_id"
                        " WHERE m.label = ? AND s.deleted_ms IS NULL"
                        " AND s.visibility <> 'private'",
                        "t", label)
          : NULL;
    bool moved = q && store_step(q, &err) == 1;
    if (q)
        store_reset(q);
    return moved;
}

int site_version(struct runner *r, uint64_t space_id, uint64_t version_id, struct version *ret,
                 struct err *err)
{
    struct err local = {0};
    err = err ? err : &local;
    struct store_stmt *q = query(r, err,
                                 "SELECT sha, title, emoji, sdk, app_file, base_path, app_port,"
                                 " start_timeout_ms, no_embedding, coep, coop, corp FROM versions "
                                 "WHERE space_id = ? AND id = ?",
                                 space_id, version_id);
    int n = q ? store_step(q, err) : -err->code;
    if (n != 1)
        return n;
    *ret = (struct version){.id = version_id};
    text(q, 0, ret->sha, sizeof(ret->sha));
    text(q, 1, ret->title, sizeof(ret->title));
    text(q, 2, ret->emoji, sizeof(ret->emoji));
    text(q, 3, ret->sdk, sizeof(ret->sdk));
    text(q, 4, ret->app_file, sizeof(ret->app_file));
    text(q, 5, ret->base_path, sizeof(ret->base_path));
    if (!is_sha(ret->sha)) {
        store_reset(q);
        return err_set(err, ENOENT, "version %llu of site.db names no tree",
                       (unsigned long long)version_id);
    }
    ret->no_embedding = store_int(q, 8) != 0;
    for (int i = 0; i < HEADER_COUNT; i++)
        ret->headers[i] = (uint8_t)store_int(q, 9 + i);
    int64_t port = store_int(q, 6);
    ret->port = port > 0 && port < 65536             ? (uint32_t)port
                : strcmp(ret->sdk, "streamlit") == 0 ? PORT_STREAMLIT
                                                     : PORT_DEFAULT;
    const struct conf *c = conf_of(r);
    uint64_t asked_ms = (uint64_t)store_int(q, 7), most_ms = c->lifecycle_start_timeout_max;
    ret->start_timeout_ms = store_is_null(q, 7)  ? c->lifecycle_start_timeout
                            : asked_ms < most_ms ? asked_ms
                                                 : most_ms;
    store_reset(q);
    return 1;
}

int site_card(struct runner *r, uint64_t space_id, uint64_t version_id, struct buf *ret,
              struct err *err)
{
    struct err local = {0};
    err = err ? err : &local;
    struct store_stmt *q = query(r, err, "SELECT card FROM versions WHERE space_id = ? AND id = ?",
                                 space_id, version_id);
    int n = q ? store_step(q, err) : -err->code;
    if (n != 1)
        return n;
    n = buf_puts(ret, store_text(q, 0));
    store_reset(q);
    return n < 0 ? err_set(err, -n, "the card of a version is too long") : 1;
}

/* The flavour that it has: the one that was chosen, or else the one that its card suggests. */
static int flavour_of(struct runner *r, uint64_t space_id, struct flavour *ret, struct err *err)
{
    char name[FLAVOUR_NAME] = "";
    struct store_stmt *q =
        query(r, err,
              "SELECT coalesce(nullif(s.hardware, ''), v.hardware, '') FROM spaces s"
              " LEFT JOIN versions v ON v.id = s.version_id WHERE s.id = ?",
              space_id, UINT64_MAX);
    int n = q ? store_step(q, err) : -err->code;
    if (n == 1) {
        text(q, 0, name, sizeof(name));
        store_reset(q);
    }
    (void)flavour_find(conf_of(r), name, ret);
    return n < 0 ? n : 0;
}

int site_gpus(struct runner *r, uint64_t space_id, unsigned *ret, struct err *err)
{
    struct err local = {0};
    struct flavour flavour;
    int n = flavour_of(r, space_id, &flavour, err ? err : &local);
    if (n == 0)
        *ret = flavour.gpus;
    return n;
}

int site_limits(struct runner *r, uint64_t space_id, struct space_limits *ret, struct err *err)
{
    struct err local = {0};
    err = err ? err : &local;
    struct flavour flavour;
    space_limits_default(ret, conf_of(r));
    (void)flavour_of(r, space_id, &flavour, err);
    flavour_apply(&flavour, ret);
    struct store_stmt *q = query(r, err, "SELECT name, value FROM space_limits WHERE space_id = ?",
                                 space_id, UINT64_MAX);
    int n = q ? 0 : -err->code;
    while (q && (n = store_step(q, err)) == 1) {
        enum space_limit which = space_limit_find(store_text(q, 0));
        uint64_t value = (uint64_t)store_int(q, 1);
        /* one that is not known any more limits nothing; nor does what nobody could have set */
        if (which < LIMIT_COUNT && space_limit_is_valid(which, value))
            ret->v[which] = value;
    }
    return n;
}

int site_env_each(struct runner *r, uint64_t space_id, bool secrets,
                  int (*each)(void *arg, const char *name, const char *value, struct err *err),
                  void *arg, struct err *err)
{
    struct err local = {0};
    err = err ? err : &local;
    struct store_stmt *q = query(r, err,
                                 "SELECT name, value FROM space_env WHERE space_id = ?"
                                 " AND secret = ? ORDER BY name",
                                 space_id, secrets);
    int n = q ? 0 : -err->code;
    while (q && (n = store_step(q, err)) == 1) {
        n = each(arg, store_text(q, 0), store_text(q, 1), err);
        if (n != 0) {
            store_reset(q);
            return n;
        }
    }
    return n;
}

int site_command_after(struct runner *r, uint64_t after, struct site_command *ret, struct err *err)
{
    struct err local = {0};
    err = err ? err : &local;
    struct store_stmt *q = query(r, err,
                                 "SELECT id, space_id, version_id, verb FROM commands WHERE id > ?"
                                 " ORDER BY id LIMIT 1",
                                 after, UINT64_MAX);
    int n = q ? store_step(q, err) : -err->code;
    if (n != 1)
        return n;
    *ret = (struct site_command){.id = (uint64_t)store_int(q, 0),
                                 .space_id = (uint64_t)store_int(q, 1),
                                 .version_id = (uint64_t)store_int(q, 2)};
    text(q, 3, ret->verb, sizeof(ret->verb));
    store_reset(q);
    return 1;
}
