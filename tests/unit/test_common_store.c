/* objects: ; libs: -lsqlite3; store.h (sqlite3.h only to make databases that store would not) */
#include "common/cleanup.h"
#include "common/schema.h"
#include "common/store.h"

#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DAY_MS ((int64_t)86400000)

static struct store *open_ok(void **state, const char *name, enum store_kind kind,
                             enum store_mode mode)
{
    struct store *s = NULL;
    struct err err = {0};
    if (store_open(&s, in_folder(state, name), kind, mode, &err) < 0)
        fail_msg("%s", err.msg);
    return s;
}

static int64_t one_int(struct store *s, const char *sql)
{
    struct err err = {0};
    struct store_stmt *q = store_query(s, &err, sql, "");
    if (!q || store_step(q, &err) != 1)
        fail_msg("%s: %s", sql, err.msg);
    int64_t v = store_int(q, 0);
    store_reset(q);
    return v;
}

static void add_space(struct store *s, const char *name, int expected)
{
    struct err err = {0};
    assert_int_equal(store_exec(s, &err,
                                "INSERT INTO spaces (owner, name, label, created_ms, updated_ms) "
                                "VALUES ('o', ?, ?, ?, 0)",
                                "tti", name, name, DAY_MS * 20000),
                     expected);
}

static int versions(const char *const *schema)
{
    int n = 0;
    while (schema[n])
        n++;
    return n;
}

static void both_kinds_open_and_are_set_up(void **state)
{
    mode_t mask = umask(0);
    _cleanup_store_ struct store *site = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    _cleanup_store_ struct store *life = open_ok(state, "life.db", STORE_LIFE, STORE_WRITE);
    umask(mask);
    assert_int_equal(one_int(site, "PRAGMA user_version"), versions(schema_site));
    assert_int_equal(one_int(life, "PRAGMA user_version"), versions(schema_life));
    assert_int_equal(one_int(site, "PRAGMA foreign_keys"), 1);
    assert_int_equal(one_int(site, "PRAGMA synchronous"), 2);
    assert_int_equal(one_int(life, "PRAGMA synchronous"), 1);
    assert_int_equal(one_int(site, "SELECT count(*) FROM pragma_journal_mode() WHERE "
                                   "journal_mode = 'wal'"),
                     1);
    struct stat st;
    assert_int_equal(stat(in_folder(state, "site.db"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void what_is_bound_comes_back(void **state)
{
    _cleanup_store_ struct store *s = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    struct err err = {0};
    assert_int_equal(store_exec(s, &err, "CREATE TABLE t (a, b, c)", ""), 0);
    char text[] = "text";
    struct store_stmt *q = store_query(s, &err, "INSERT INTO t VALUES (?, ?, ?)", "itb", INT64_MIN,
                                       text, "b\0b", (size_t)3);
    assert_non_null(q);
    text[0] = 'X'; /* was copied */
    assert_int_equal(store_step(q, &err), 0);
    assert_int_equal(store_changes(s), 1);
    assert_int_equal(store_exec(s, &err, "INSERT INTO t VALUES (?, ?, ?)", "itb", (int64_t)-1, NULL,
                                NULL, (size_t)0),
                     0);
    assert_int_equal(store_last_id(s), 2);
    q = store_query(s, &err, "SELECT a, b, length(c), typeof(c) FROM t ORDER BY rowid", "");
    assert_int_equal(store_step(q, &err), 1);
    assert_true(store_int(q, 0) == INT64_MIN);
    assert_string_equal(store_text(q, 1), "text");
    assert_int_equal(store_int(q, 2), 3);
    assert_int_equal(store_step(q, &err), 1);
    assert_int_equal(store_int(q, 0), -1);
    assert_true(store_is_null(q, 1));
    assert_string_equal(store_text(q, 1), "");
    assert_string_equal(store_text(q, 3), "blob");
    assert_int_equal(store_step(q, &err), 0);
    /* The same text is the same statement, and starts anew. */
    assert_ptr_equal(
        store_query(s, &err, "SELECT a, b, length(c), typeof(c) FROM t ORDER BY rowid", ""), q);
    assert_int_equal(store_step(q, &err), 1);
    store_reset(q);
    store_reset(NULL);
}

static void wrong_statements_are_refused(void **state)
{
    _cleanup_store_ struct store *s = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    struct err err = {0};
    assert_null(store_query(s, &err, "SELECT nonsense FROM nowhere", ""));
    assert_int_equal(err.code, EINVAL);
    assert_non_null(strstr(err.msg, "nowhere"));
    assert_null(store_query(s, &err, "SELECT ?", ""));
    assert_null(store_query(s, &err, "SELECT ?", "ii", (int64_t)1, (int64_t)2));
    assert_null(store_query(s, &err, "SELECT ?", "x"));
    assert_non_null(strstr(err.msg, "do not match"));
    assert_int_equal(store_exec(s, &err, "", ""), -EINVAL);
    assert_int_equal(store_exec(s, NULL, "SELECT ?", ""), -EINVAL);
}

static void constraints_are_told_apart(void **state)
{
    _cleanup_store_ struct store *s = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    struct err err = {0};
    add_space(s, "a", 0);
    add_space(s, "a", -EEXIST);
    add_space(s, "A", -EEXIST); /* names do not differ by case alone */
    add_space(s, "b", 0);
    assert_int_equal(one_int(s, "SELECT count(*) FROM spaces"), 2);
    assert_int_equal(store_exec(s, &err,
                                "INSERT INTO versions (space_id, sha, title, emoji, color_from, "
                                "color_to, short_description, sdk, app_file, app_port, base_path, "
                                "card, files, bytes, message, created_ms) VALUES (99, '', '', '', "
                                "'', '', '', '', '', 0, '', '', 0, 0, '', 0)",
                                ""),
                     -EEXIST); /* a foreign key */
}

static void events_cannot_be_changed(void **state)
{
    _cleanup_store_ struct store *s = open_ok(state, "life.db", STORE_LIFE, STORE_WRITE);
    struct err err = {0};
    assert_int_equal(store_exec(s, &err,
                                "INSERT INTO events (at_ms, space, event, detail) VALUES (1, "
                                "'a/b', 'worker.ready', '')",
                                ""),
                     0);
    assert_true(store_exec(s, &err, "UPDATE events SET detail = 'x'", "") < 0);
    assert_non_null(strstr(err.msg, "append-only"));
    assert_true(store_exec(s, &err, "DELETE FROM events", "") < 0);
    assert_int_equal(one_int(s, "SELECT count(*) FROM events"), 1);
}

/* A disk is not filled by them, and who covers tracks cannot take the newest away. */
static void only_old_events_can_go(void **state)
{
    _cleanup_store_ struct store *s = open_ok(state, "life.db", STORE_LIFE, STORE_WRITE);
    struct err err = {0};
    for (int i = 0; i < 1001; i++)
        assert_int_equal(store_exec(s, &err,
                                    "INSERT INTO events (at_ms, space, event, detail) VALUES (1, "
                                    "'a/b', 'worker.ready', '')",
                                    ""),
                         0);
    assert_true(store_exec(s, &err, "DELETE FROM events WHERE id = 2", "") < 0);
    assert_int_equal(store_exec(s, &err, "DELETE FROM events WHERE id = 1", ""), 0);
    assert_int_equal(one_int(s, "SELECT count(*) FROM events"), 1000);
}

static void transactions(void **state)
{
    _cleanup_store_ struct store *s = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    struct err err = {0};
    store_rollback(s); /* outside of one: nothing */
    assert_int_equal(store_begin(s, &err), 0);
    add_space(s, "a", 0);
    store_rollback(s);
    assert_int_equal(one_int(s, "SELECT count(*) FROM spaces"), 0);
    assert_int_equal(store_begin(s, &err), 0);
    add_space(s, "a", 0);
    assert_int_equal(store_commit(s, &err), 0);
    assert_int_equal(store_commit(s, &err), -EINVAL); /* there is none */
    assert_int_equal(one_int(s, "SELECT count(*) FROM spaces"), 1);
}

static void a_reader_waits_for_no_database(void **state)
{
    struct store *r = NULL;
    struct err err = {0};
    const char *path = in_folder(state, "site.db");
    assert_int_equal(store_open(&r, path, STORE_SITE, STORE_READ, &err), -ENOENT);
    assert_int_equal(access(path, F_OK), -1); /* and makes none */
    put_file(path, "");
    assert_int_equal(store_open(&r, path, STORE_SITE, STORE_READ, &err), -ENOENT);
    assert_null(r);
}

static void a_reader_reads_what_is_committed_and_writes_nothing(void **state)
{
    struct err err = {0};
    _cleanup_store_ struct store *w = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    _cleanup_store_ struct store *r = open_ok(state, "site.db", STORE_SITE, STORE_READ);
    assert_int_equal(store_begin(w, &err), 0);
    add_space(w, "a", 0);
    assert_int_equal(one_int(r, "SELECT count(*) FROM spaces"), 0);
    assert_int_equal(store_commit(w, &err), 0);
    assert_int_equal(one_int(r, "SELECT count(*) FROM spaces"), 1);
    assert_int_equal(store_exec(r, &err, "DELETE FROM spaces", ""), -EROFS);
    assert_int_equal(one_int(r, "SELECT count(*) FROM spaces"), 1);
}

/* What was committed is there after the writer was killed. */
static void a_killed_writer_loses_nothing(void **state)
{
    const char *path = in_folder(state, "site.db");
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s = NULL;
        if (store_open(&s, path, STORE_SITE, STORE_WRITE, NULL) == 0 &&
            store_exec(s, NULL,
                       "INSERT INTO spaces (owner, name, label, created_ms, updated_ms) VALUES "
                       "('o', 'n', 'l', 0, 0)",
                       "") == 0 &&
            store_begin(s, NULL) == 0)
            store_exec(s, NULL, "DELETE FROM spaces", "");
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    _cleanup_store_ struct store *r = open_ok(state, "site.db", STORE_SITE, STORE_READ);
    assert_int_equal(one_int(r, "SELECT count(*) FROM spaces"), 1);
    _cleanup_store_ struct store *w = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    assert_int_equal(one_int(w, "SELECT count(*) FROM spaces"), 1);
}

static void a_newer_database_is_refused(void **state)
{
    struct store *s = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    struct err err = {0};
    assert_int_equal(store_exec(s, &err, "PRAGMA user_version = 1000", ""), 0);
    store_close(s);
    s = NULL;
    const char *path = in_folder(state, "site.db");
    for (int mode = STORE_READ; mode <= STORE_WRITE; mode++) {
        assert_int_equal(store_open(&s, path, STORE_SITE, (enum store_mode)mode, &err), -EPROTO);
        assert_null(s);
        assert_non_null(strstr(err.msg, "version 1000"));
        assert_non_null(strstr(err.msg, "newer Vitrine"));
    }
}

/* A database as an earlier program left it: `version` migrations and one row. */
static void make_version(const char *path, int version)
{
    sqlite3 *db;
    char pragma[64];
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (int i = 0; i < version; i++)
        assert_int_equal(sqlite3_exec(db, schema_site[i], NULL, NULL, NULL), SQLITE_OK);
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", version);
    assert_int_equal(sqlite3_exec(db, pragma, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO spaces (owner, name, label, created_ms, updated_ms) "
                                  "VALUES ('o', 'kept', 'l', 0, 0)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
}

static void earlier_versions_are_brought_up(void **state)
{
    int newest = versions(schema_site);
    for (int from = 1; from <= newest; from++) {
        char name[32];
        snprintf(name, sizeof name, "from-%d.db", from);
        make_version(in_folder(state, name), from);
        _cleanup_store_ struct store *s = open_ok(state, name, STORE_SITE, STORE_WRITE);
        assert_int_equal(one_int(s, "PRAGMA user_version"), newest);
        assert_int_equal(one_int(s, "SELECT count(*) FROM spaces WHERE name = 'kept'"), 1);
    }
}

/* A reader that comes before its writer did the migrations is told to wait. */
static void a_reader_waits_for_the_migration(void **state)
{
    struct store *r = NULL;
    struct err err = {0};
    const char *path = in_folder(state, "site.db");
    make_version(path, 1);
    assert_int_equal(store_open(&r, path, STORE_SITE, STORE_READ, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "version 1"));
    store_close(open_ok(state, "site.db", STORE_SITE, STORE_WRITE));
    assert_int_equal(store_open(&r, path, STORE_SITE, STORE_READ, &err), 0);
    store_close(r);
}

/* A migration that fails in its middle leaves the version that was there. */
static void a_failed_migration_changes_nothing(void **state)
{
    struct store *s = NULL;
    struct err err = {0};
    const char *path = in_folder(state, "site.db");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE versions (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_true(store_open(&s, path, STORE_SITE, STORE_WRITE, &err) < 0);
    assert_null(s);
    assert_non_null(strstr(err.msg, "migration to version 1"));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE spaces (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_full_disk_is_said(void **state)
{
    _cleanup_store_ struct store *s = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    struct err err = {0};
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %d",
             (int)one_int(s, "PRAGMA page_count") + 1);
    assert_int_equal(one_int(s, sql), one_int(s, "PRAGMA page_count") + 1);
    char *large = calloc(1, 100000);
    memset(large, 'x', 99999);
    assert_int_equal(store_exec(s, &err, "INSERT INTO login_links VALUES (?, 0, NULL)", "t", large),
                     -ENOSPC);
    assert_non_null(strstr(err.msg, "site.db"));
    assert_non_null(strstr(err.msg, "free some space"));
    free(large);
    assert_int_equal(one_int(s, "SELECT count(*) FROM login_links"), 0);
}

static void a_second_writer_is_busy(void **state)
{
    struct err err = {0};
    _cleanup_store_ struct store *a = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    _cleanup_store_ struct store *b = open_ok(state, "site.db", STORE_SITE, STORE_WRITE);
    assert_int_equal(store_exec(b, &err, "PRAGMA busy_timeout = 0", ""), 0);
    assert_int_equal(store_begin(a, &err), 0);
    assert_int_equal(store_begin(b, &err), -EBUSY);
    assert_int_equal(store_commit(a, &err), 0);
    assert_int_equal(store_begin(b, &err), 0);
}

static void what_is_no_database_is_said(void **state)
{
    struct store *s = NULL;
    struct err err = {0};
    char noise[8192];
    memset(noise, '?', sizeof noise - 1);
    noise[sizeof noise - 1] = '\0';
    const char *path = in_folder(state, "site.db");
    put_file(path, noise);
    assert_int_equal(store_open(&s, path, STORE_SITE, STORE_WRITE, &err), -EUCLEAN);
    assert_non_null(strstr(err.msg, "backup"));
    assert_int_equal(store_open(&s, in_folder(state, "no/site.db"), STORE_SITE, STORE_WRITE, &err),
                     -EACCES);
    assert_non_null(strstr(err.msg, "no/site.db"));
    assert_null(s);
}

int main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(both_kinds_open_and_are_set_up),
        IN_FOLDER(what_is_bound_comes_back),
        IN_FOLDER(wrong_statements_are_refused),
        IN_FOLDER(constraints_are_told_apart),
        IN_FOLDER(events_cannot_be_changed),
        IN_FOLDER(only_old_events_can_go),
        IN_FOLDER(transactions),
        IN_FOLDER(a_reader_waits_for_no_database),
        IN_FOLDER(a_reader_reads_what_is_committed_and_writes_nothing),
        IN_FOLDER(a_killed_writer_loses_nothing),
        IN_FOLDER(a_newer_database_is_refused),
        IN_FOLDER(earlier_versions_are_brought_up),
        IN_FOLDER(a_reader_waits_for_the_migration),
        IN_FOLDER(a_failed_migration_changes_nothing),
        IN_FOLDER(a_full_disk_is_said),
        IN_FOLDER(a_second_writer_is_busy),
        IN_FOLDER(what_is_no_database_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
