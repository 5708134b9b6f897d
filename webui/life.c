#include "webui/life.h"

#include "common/cleanup.h"
#include "common/gpus.h"
#include "common/log.h"
#include "common/store.h"
#include "common/util.h"
#include "webui/text.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct life {
    pthread_mutex_t lock;
    struct store *db; /* NULL while there is none */
    char path[];
};

static void unlock(struct life **l)
{
    pthread_mutex_unlock(&(*l)->lock);
}
#define WITH_LOCK(l)                                                                               \
    __attribute__((cleanup(unlock))) struct life *locked = (l);                                    \
    pthread_mutex_lock(&locked->lock)

int life_open(struct life **ret, const char *path, struct err *err)
{
    size_t size = strlen(path) + 1;
    struct life *l = calloc(1, sizeof *l + size);
    if (!l)
        return err_set(err, ENOMEM, "out of memory");
    memcpy(l->path, path, size);
    pthread_mutex_init(&l->lock, NULL);
    *ret = l;
    return 0;
}

void life_close(struct life *l)
{
    if (!l)
        return;
    store_close(l->db);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

bool life_is_replaced(const struct life *l)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char path[4096];
        struct stat st;
        snprintf(path, sizeof path, "%s%s", l->path, parts[i]);
        if (stat(path, &st) == 0 && (st.st_nlink == 0 || access(path, R_OK) < 0))
            return true;
    }
    return false;
}

/* The connection, or NULL. */
static struct store *connection(struct life *l)
{
    struct err err;
    if (!l->db) {
        int r = store_open(&l->db, l->path, STORE_LIFE, STORE_READ, &err);
        if (r < 0 && r != -ENOENT)
            log_warn(NULL, "life.open", "%s", err.msg);
    }
    return l->db;
}

/* A query that could not be read: the next one begins on a new connection. */
static void give_up(struct life *l, const struct err *err)
{
    log_warn(NULL, "life.read", "%s", err->msg);
    store_close(l->db);
    l->db = NULL;
}

void life_space(struct life *l, int64_t space_id, struct life_space *ret)
{
    *ret = (struct life_space){.data_bytes = -1, .data_inodes = -1};
    WITH_LOCK(l);
    struct store *db = connection(l);
    if (!db)
        return;
    struct err err = {0};
    struct store_stmt *q =
        store_query(db, &err,
                    "SELECT s.stage, s.reason, s.version_id, s.worker_id, w.version_id, w.ran_into,"
                    " COALESCE(s.data_bytes, -1), COALESCE(s.data_inodes, -1), s.data_quota,"
                    " COALESCE(w.gpus, '') FROM spaces s LEFT JOIN workers w ON w.id = s.worker_id "
                    "WHERE s.space_id = ?",
                    "i", space_id);
    int r = q ? store_step(q, &err) : -EIO;
    if (r < 0) {
        give_up(l, &err);
        return;
    }
    if (r == 1) {
        snprintf(ret->stage, sizeof ret->stage, "%s", store_text(q, 0));
        text_copy(ret->reason, sizeof ret->reason, store_text(q, 1));
        ret->version_id = store_int(q, 2);
        ret->worker_id = store_int(q, 3);
        ret->worker_version_id = store_int(q, 4);
        text_copy(ret->ran_into, sizeof ret->ran_into, store_text(q, 5));
        ret->data_bytes = store_int(q, 6);
        ret->data_inodes = store_int(q, 7);
        snprintf(ret->data_quota, sizeof ret->data_quota, "%s", store_text(q, 8));
        gpus_names(store_text(q, 9), ret->gpus, sizeof ret->gpus);
        store_reset(q);
    }
}

int life_workers(struct life *l, struct life_worker **ret, size_t *ret_n, struct err *err)
{
    *ret = NULL;
    *ret_n = 0;
    WITH_LOCK(l);
    struct store *db = connection(l);
    if (!db)
        return 0;
    struct store_stmt *q = store_query(
        db, err,
        "SELECT id, space_id, version_id, pid, restarts, created_ms, ready_ms, requests, state,"
        " gpus FROM workers WHERE ended_ms IS NULL ORDER BY id",
        "");
    _cleanup_free_ struct life_worker *rows = NULL;
    size_t n = 0;
    int r = q ? 0 : -EIO;
    while (r == 0 && (r = store_step(q, err)) == 1) {
        struct life_worker *more = reallocarray(rows, n + 1, sizeof *rows);
        if (!more) {
            store_reset(q);
            return err_set(err, ENOMEM, "out of memory");
        }
        rows = more;
        rows[n] = (struct life_worker){.id = store_int(q, 0),
                                       .space_id = store_int(q, 1),
                                       .version_id = store_int(q, 2),
                                       .pid = store_int(q, 3),
                                       .restarts = store_int(q, 4),
                                       .created_ms = store_int(q, 5),
                                       .ready_ms = store_int(q, 6),
                                       .requests = store_int(q, 7)};
        snprintf(rows[n].state, sizeof rows[n].state, "%s", store_text(q, 8));
        gpus_names(store_text(q, 9), rows[n].gpus, sizeof rows[n].gpus);
        n++;
        r = 0;
    }
    if (r < 0) {
        give_up(l, err);
        return r;
    }
    *ret = steal_ptr(rows);
    *ret_n = n;
    return 0;
}

json_t *life_events(struct life *l, int64_t space_id, unsigned limit)
{
    json_t *list = json_array();
    WITH_LOCK(l);
    struct store *db = connection(l);
    if (!db || !list)
        return list;
    struct err err = {0};
    struct store_stmt *q =
        store_query(db, &err,
                    "SELECT id, at_ms, space, worker_id, event, detail FROM events"
                    " WHERE ? = 0 OR space_id = ? ORDER BY id DESC LIMIT ?",
                    "iii", space_id, space_id, (int64_t)limit);
    int r = q ? 0 : -EIO;
    while (r == 0 && (r = store_step(q, &err)) == 1) {
        char at[25], space[256], event[128], detail[1024];
        time_iso((uint64_t)store_int(q, 1), at);
        text_copy(space, sizeof space, store_text(q, 2));
        text_copy(event, sizeof event, store_text(q, 4));
        text_copy(detail, sizeof detail, store_text(q, 5));
        json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:I, s:s, s:s}", "id",
                                              (json_int_t)store_int(q, 0), "at", at, "space", space,
                                              "worker_id", (json_int_t)store_int(q, 3), "event",
                                              event, "detail", detail));
        r = 0;
    }
    if (r < 0)
        give_up(l, &err);
    return list;
}

int life_command_done(struct life *l, int64_t command_id, int *ret_code, char message[1024])
{
    WITH_LOCK(l);
    struct store *db = connection(l);
    if (!db)
        return 0;
    struct err err = {0};
    struct store_stmt *q = store_query(
        db, &err, "SELECT code, message FROM commands_done WHERE command_id = ?", "i", command_id);
    int r = q ? store_step(q, &err) : -EIO;
    if (r < 0) {
        give_up(l, &err);
        return 0;
    }
    if (r == 1) {
        *ret_code = (int)store_int(q, 0);
        snprintf(message, 1024, "%s", store_text(q, 1));
        store_reset(q);
    }
    return r;
}
