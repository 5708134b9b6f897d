#include "store.h"

#include "schema.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#define BUSY_TIMEOUT_MS 5000

struct store_stmt {
    struct store *store;
    sqlite3_stmt *stmt;
    struct store_stmt *next; /* in its bucket */
    char sql[];
};

#define BUCKETS 64

struct store {
    sqlite3 *db;
    char *path;
    struct store_stmt *cache[BUCKETS];
};

/* SQLite's code as errno, and its message. */
static int fail(struct store *s, int rc, struct err *err, const char *what)
{
    int code;
    const char *remedy = "";
    switch (rc & 0xff) {
    case SQLITE_FULL:
        code = ENOSPC;
        remedy = ": free some space on its disk";
        break;
    case SQLITE_CONSTRAINT:
        code = EEXIST;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = EBUSY;
        break;
    case SQLITE_NOMEM:
        code = ENOMEM;
        break;
    case SQLITE_READONLY:
        code = EROFS;
        break;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        code = EACCES;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = EUCLEAN;
        remedy = ": restore it from a backup";
        break;
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
        code = EINVAL; /* the statement is wrong */
        break;
    default:
        code = EIO;
    }
    /* A disk that is full shows as an I/O error where SQLite's write was cut short. */
    if ((rc & 0xff) == SQLITE_IOERR && sqlite3_system_errno(s->db) == ENOSPC) {
        code = ENOSPC;
        remedy = ": free some space on its disk";
    }
    int r = err_set(err, code, "%s: %s: %s%s", s->path, what, sqlite3_errmsg(s->db), remedy);
    if (err)
        err->internal = true;
    return r;
}

static int run(struct store *s, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail(s, rc, err, "database");
}

static int user_version(struct store *s, int *ret, struct err *err)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    int r = 0;
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int(q, 0);
    else
        r = fail(s, rc, err, "cannot read its version");
    sqlite3_finalize(q);
    return r;
}

static int known_version(const char *const *schema)
{
    int n = 0;
    while (schema[n])
        n++;
    return n;
}

static int refuse_newer(struct store *s, int have, int known, struct err *err)
{
    return err_set(
        err, EPROTO,
        "%s has version %d and this program knows versions up to %d: it was written by a "
        "newer Vitrine; run that one, or restore a backup",
        s->path, have, known);
}

/* All missing migrations in one transaction: a database is never between two versions. */
static int migrate(struct store *s, const char *const *schema, struct err *err)
{
    int known = known_version(schema), have = 0;
    int r = store_begin(s, err);
    if (r == 0)
        r = user_version(s, &have, err);
    if (r == 0 && have > known)
        r = refuse_newer(s, have, known, err);
    if (r == 0 && have == known) {
        store_rollback(s);
        return 0;
    }
    for (int i = r == 0 ? have : known; r == 0 && i < known; i++) {
        char version[64];
        snprintf(version, sizeof version, "PRAGMA user_version = %d", i + 1);
        r = run(s, schema[i], err);
        if (r == 0)
            r = run(s, version, err);
        if (r < 0)
            r = err_prefix(err, -r, "migration to version %d", i + 1);
    }
    if (r == 0)
        r = store_commit(s, err);
    if (r < 0)
        store_rollback(s);
    return r;
}

/* For reader and writer. The other side wrote the bytes, and may have been taken over: what a
 * schema says runs nothing that has effects, and pages are looked at before they are believed. The
 * log and its index stay when the last one closes, as a program may hold these very files
 * (webui/main.c). What SQLite would put into temporary files is kept in memory: there may be no
 * folder for them. */
static int set_up(struct store *s, struct err *err)
{
    int on = 1;
    int rc = sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &on);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (rc != SQLITE_OK)
        return fail(s, rc, err, "cannot set it up");
    return run(s, "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY", err);
}

static int open_write(struct store *s, enum store_kind kind, const char *const *schema,
                      struct err *err)
{
    /* the log is cut to that after a checkpoint, and to nothing at the end */
    int r = run(s, "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 16777216", err);
    if (r == 0)
        r = run(s, "PRAGMA foreign_keys = ON", err);
    if (r == 0)
        r = run(s, kind == STORE_SITE ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
                err);
    return r < 0 ? r : migrate(s, schema, err);
}

static int open_read(struct store *s, const char *const *schema, struct err *err)
{
    int have = 0, known = known_version(schema);
    int r = user_version(s, &have, err);
    if (r == -EBUSY) /* its writer is just making it */
        return err_set(err, ENOENT, "%s is not yet there as a whole", s->path);
    if (r < 0)
        return r;
    if (have > known)
        return refuse_newer(s, have, known, err);
    if (have < known) /* the writer is about to migrate it */
        return err_set(err, ENOENT, "%s has version %d and not yet %d", s->path, have, known);
    sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
    return 0;
}

int store_open(struct store **ret, const char *path, enum store_kind kind, enum store_mode mode,
               struct err *err)
{
    const char *const *schema = kind == STORE_SITE ? schema_site : schema_life;
    if (mode == STORE_READ && access(path, F_OK) < 0 && errno == ENOENT)
        return err_set(err, ENOENT, "%s does not exist yet", path);
    _cleanup_store_ struct store *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path)))
        return err_set(err, ENOMEM, "%s: no memory to open it", path);
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    flags |=
        mode == STORE_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    mode_t mask = mode == STORE_WRITE ? umask(0077) : 0; /* whoever reads makes nothing */
    int rc = sqlite3_open_v2(path, &s->db, flags, NULL);
    /* from /dev/urandom, which a program that confines itself later does not see any more */
    unsigned char seed;
    sqlite3_randomness(sizeof seed, &seed);
    if (rc == SQLITE_OK && mode == STORE_WRITE) /* the file comes with the first access */
        rc = sqlite3_exec(s->db, "PRAGMA user_version", NULL, NULL, NULL);
    if (mode == STORE_WRITE)
        umask(mask);
    if (rc != SQLITE_OK)
        return s->db ? fail(s, rc, err, "cannot open it")
                     : err_set(err, ENOMEM, "%s: no memory to open it", path);
    if (mode == STORE_WRITE)
        sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
    int r = set_up(s, err);
    if (r < 0)
        return r;
    r = mode == STORE_WRITE ? open_write(s, kind, schema, err) : open_read(s, schema, err);
    if (r < 0)
        return r;
    *ret = s;
    s = NULL;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct store_stmt *q = s->cache[i], *next; q; q = next) {
            next = q->next;
            sqlite3_finalize(q->stmt);
            free(q);
        }
    }
    sqlite3_close(s->db);
    free(s->path);
    free(s);
}

static size_t bucket_of(const char *sql)
{
    size_t h = 5381;
    for (; *sql; sql++)
        h = h * 33 ^ (unsigned char)*sql;
    return h % BUCKETS;
}

static struct store_stmt *prepare(struct store *s, const char *sql, struct err *err)
{
    struct store_stmt **bucket = &s->cache[bucket_of(sql)];
    for (struct store_stmt *q = *bucket; q; q = q->next)
        if (strcmp(q->sql, sql) == 0)
            return q;
    size_t len = strlen(sql);
    struct store_stmt *q = calloc(1, sizeof *q + len + 1);
    if (!q) {
        err_set(err, ENOMEM, "no memory for a statement");
        return NULL;
    }
    int rc = sqlite3_prepare_v3(s->db, sql, (int)len, SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL);
    if (rc != SQLITE_OK || !q->stmt) {
        if (rc != SQLITE_OK)
            fail(s, rc, err, "statement");
        else
            err_set(err, EINVAL, "%s: the statement is empty", s->path);
        free(q);
        return NULL;
    }
    q->store = s;
    memcpy(q->sql, sql, len + 1);
    q->next = *bucket;
    *bucket = q;
    return q;
}

static int bind(struct store_stmt *q, const char *types, va_list *ap)
{
    if (sqlite3_bind_parameter_count(q->stmt) != (int)strlen(types))
        return SQLITE_RANGE;
    int rc = SQLITE_OK;
    for (int i = 1; rc == SQLITE_OK && *types; types++, i++) {
        if (*types == 'i') {
            rc = sqlite3_bind_int64(q->stmt, i, va_arg(*ap, int64_t));
        } else if (*types == 't') {
            rc = sqlite3_bind_text(q->stmt, i, va_arg(*ap, const char *), -1, SQLITE_TRANSIENT);
        } else if (*types == 'b') {
            const void *data = va_arg(*ap, const void *);
            size_t len = va_arg(*ap, size_t);
            rc = sqlite3_bind_blob64(q->stmt, i, data ? data : "", len, SQLITE_TRANSIENT);
        } else {
            rc = SQLITE_MISUSE;
        }
    }
    return rc;
}

static struct store_stmt *query(struct store *s, struct err *err, const char *sql,
                                const char *types, va_list *ap)
{
    struct store_stmt *q = prepare(s, sql, err);
    if (!q)
        return NULL;
    sqlite3_reset(q->stmt);
    sqlite3_clear_bindings(q->stmt);
    int rc = bind(q, types, ap);
    if (rc == SQLITE_OK)
        return q;
    if (rc == SQLITE_RANGE || rc == SQLITE_MISUSE) {
        err_set(err, EINVAL, "%s: the arguments \"%s\" do not match: %s", s->path, types, sql);
        if (err)
            err->internal = true;
    } else {
        fail(s, rc, err, "arguments");
    }
    return NULL;
}

struct store_stmt *store_query(struct store *s, struct err *err, const char *sql, const char *types,
                               ...)
{
    va_list ap;
    va_start(ap, types);
    struct store_stmt *q = query(s, err, sql, types, &ap);
    va_end(ap);
    return q;
}

int store_step(struct store_stmt *q, struct err *err)
{
    int rc = sqlite3_step(q->stmt);
    if (rc == SQLITE_ROW)
        return 1;
    int r = rc == SQLITE_DONE ? 0 : fail(q->store, rc, err, "database");
    sqlite3_reset(q->stmt);
    return r;
}

void store_reset(struct store_stmt *q)
{
    if (q)
        sqlite3_reset(q->stmt);
}

int64_t store_int(struct store_stmt *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

const char *store_text(struct store_stmt *q, int column)
{
    const unsigned char *s = sqlite3_column_text(q->stmt, column);
    return s ? (const char *)s : "";
}

bool store_is_null(struct store_stmt *q, int column)
{
    return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

int store_exec(struct store *s, struct err *err, const char *sql, const char *types, ...)
{
    struct err own = {0};
    if (!err)
        err = &own;
    va_list ap;
    va_start(ap, types);
    struct store_stmt *q = query(s, err, sql, types, &ap);
    va_end(ap);
    if (!q)
        return -err->code;
    int r;
    while ((r = store_step(q, err)) > 0)
        ;
    return r;
}

int64_t store_last_id(struct store *s)
{
    return sqlite3_last_insert_rowid(s->db);
}

int64_t store_changes(struct store *s)
{
    return sqlite3_changes64(s->db);
}

int store_begin(struct store *s, struct err *err)
{
    return run(s, "BEGIN IMMEDIATE", err);
}

int store_commit(struct store *s, struct err *err)
{
    return run(s, "COMMIT", err);
}

void store_rollback(struct store *s)
{
    if (!sqlite3_get_autocommit(s->db))
        (void)run(s, "ROLLBACK", NULL);
}
