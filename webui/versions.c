#include "webui/versions.h"

#include "common/util.h"
#include "webui/site_db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 1000

json_t *versions_json(struct site *s, const struct space *space, uint64_t limit, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q = store_query(
        s->db, err,
        "SELECT id, sha, message, sdk, files, bytes, created_ms,"
        " (SELECT count(*) FROM versions o WHERE o.space_id = v.space_id AND o.id <= v.id)"
        " FROM versions v WHERE space_id = ? ORDER BY id DESC LIMIT ?",
        "ii", space->id, (int64_t)(limit < SHOWN_MAX ? limit : SHOWN_MAX));
    if (!q)
        return NULL;
    json_t *out = json_array();
    int r;
    while ((r = store_step(q, err)) == 1) {
        char at[25];
        time_iso((uint64_t)store_int(q, 6), at);
        json_array_append_new(out, json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:s, s:b}", "number",
                                             (json_int_t)store_int(q, 7), "sha", store_text(q, 1),
                                             "message", store_text(q, 2), "sdk", store_text(q, 3),
                                             "files", (json_int_t)store_int(q, 4), "bytes",
                                             (json_int_t)store_int(q, 5), "createdAt", at,
                                             "current", store_int(q, 0) == space->version_id));
    }
    if (r == 0)
        return out;
    json_decref(out);
    return NULL;
}

/* The rows' one sha for a query of one text or number: 1, 0, or negative errno. */
static int one_sha(struct store_stmt *q, char out[65], struct err *err)
{
    if (!q)
        return -EIO;
    int r = store_step(q, err);
    if (r == 1)
        snprintf(out, 65, "%s", store_text(q, 0));
    if (r == 1 && store_step(q, err) == 1) {
        store_reset(q);
        return err_set(err, ENXIO, "several versions begin so: write more of it");
    }
    store_reset(q);
    return r;
}

int versions_find(struct site *s, const struct space *space, const char *text, char out[65],
                  struct err *err)
{
    WITH_LOCK(s);
    size_t len = strlen(text);
    bool is_number = len > 0 && len <= 6 && strspn(text, "0123456789") == len;
    bool is_sha = len >= 4 && len <= 64 && strspn(text, "0123456789abcdef") == len;
    int r = 0;
    if (is_number)
        r = one_sha(store_query(s->db, err,
                                "SELECT sha FROM versions WHERE space_id = ? ORDER BY id LIMIT 1"
                                " OFFSET ?",
                                "ii", space->id, (int64_t)atoll(text) - 1),
                    out, err);
    if (r == 0 && is_sha)
        r = one_sha(store_query(s->db, err,
                                "SELECT DISTINCT sha FROM versions WHERE space_id = ?"
                                " AND substr(sha, 1, ?) = ?",
                                "iit", space->id, (int64_t)len, text),
                    out, err);
    if (r == 0 && is_sha && !is_number) {
        snprintf(out, 65, "%s", text);
        return 0;
    }
    if (r != 0)
        return r < 0 ? r : 0;
    return err_set(err, ENXIO, "%s has no version %.80s: `vitrine versions %s` shows them",
                   space->full, text, space->full);
}
