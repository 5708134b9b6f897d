/* SQLite behind a small door: the only header of ours whose implementation knows sqlite3.h.
 *
 * Two databases, one writer each (DESIGN "What is kept where"): site.db is webui's, life.db the
 * runner's; the other side opens it read-only. WAL, foreign keys on, busy timeout 5 s; site.db
 * synchronous=FULL (what a submitter was told survives a power cut), life.db NORMAL (after a reboot
 * its workers are gone anyway). Migrations are numbered and run by the writer in one transaction at
 * opening; a database that is newer than the program is refused. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stdint.h>

enum store_kind { STORE_SITE, STORE_LIFE };
enum store_mode { STORE_READ, STORE_WRITE };

struct store;      /* one connection; used by one thread at a time */
struct store_stmt; /* a prepared statement, owned by its store and cached by its SQL text */

/* STORE_READ waits for nothing: -ENOENT where the file does not exist or has no schema yet (try
 * again later). */
int store_open(struct store **ret, const char *path, enum store_kind kind, enum store_mode mode,
               struct err *err);
void store_close(struct store *s); /* NULL is fine */
static inline void store_cleanup(struct store **s)
{
    store_close(*s);
}
#define _cleanup_store_ __attribute__((cleanup(store_cleanup)))

/* Prepares (or takes from the cache) and resets `sql`, then binds by `types`, one letter an
 * argument: i int64_t, t const char * (NULL binds NULL), b (const void *, size_t) blob. The texts
 * are copied. NULL with err set on failure. */
struct store_stmt *store_query(struct store *s, struct err *err, const char *sql, const char *types,
                               ...);
/* 1 a row, 0 the end (the statement is reset), negative errno (-ENOSPC disk full, -EEXIST
 * constraint, -EBUSY, -EIO). SQLite's words name the file: they are marked as internal. */
int store_step(struct store_stmt *q, struct err *err);
/* Ends a query before its last row. Always done by store_step's 0 and errors. */
void store_reset(struct store_stmt *q);

int64_t store_int(struct store_stmt *q, int column);
const char *store_text(struct store_stmt *q,
                       int column); /* "" for NULL; valid until the next step or reset */
bool store_is_null(struct store_stmt *q, int column);

/* A statement without rows: binds as store_query and steps it. Returns 0 or negative errno. */
int store_exec(struct store *s, struct err *err, const char *sql, const char *types, ...);
int64_t store_last_id(struct store *s);
int64_t store_changes(struct store *s);

int store_begin(struct store *s, struct err *err); /* BEGIN IMMEDIATE */
int store_commit(struct store *s, struct err *err);
void store_rollback(struct store *s); /* no-op outside a transaction */
