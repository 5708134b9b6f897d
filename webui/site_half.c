/* Submissions that were cut off: the job may have made a commit of which site.db does not know. */
#include "common/cleanup.h"
#include "webui/site_db.h"

#include <errno.h>
#include <stdlib.h>

int site_submitting(struct site *s, int64_t space_id, bool begins, struct err *err)
{
    WITH_LOCK(s);
    return store_exec(s->db, err, "UPDATE spaces SET submitting = ? WHERE id = ?", "ii",
                      (int64_t)begins, space_id);
}

int site_half_submitted(struct site *s, int64_t **ret, size_t *ret_n, struct err *err)
{
    WITH_LOCK(s);
    struct store_stmt *q = store_query(s->db, err,
                                       "SELECT id FROM spaces WHERE submitting <> 0 AND deleted_ms"
                                       " IS NULL AND version_id IS NOT NULL",
                                       "");
    if (!q)
        return -EIO;
    _cleanup_free_ int64_t *ids = NULL;
    size_t n = 0;
    int r;
    while ((r = store_step(q, err)) == 1) {
        int64_t *more = reallocarray(ids, n + 1, sizeof *ids);
        if (!more) {
            store_reset(q);
            return err_set(err, ENOMEM, "out of memory");
        }
        ids = more;
        ids[n++] = store_int(q, 0);
    }
    if (r < 0)
        return r;
    *ret = steal_ptr(ids);
    *ret_n = n;
    return 0;
}
