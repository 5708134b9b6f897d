#include "runner/events.h"

#include "common/log.h"
#include "common/store.h"
#include "common/util.h"
#include "runner/runner.h"
#include "runner/space.h"

#include <stdarg.h>
#include <stdio.h>

void event_add(struct runner *r, const struct space *s, uint64_t worker_id, const char *event,
               const char *fmt, ...)
{
    char detail[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);

    struct log_ctx ctx = {.space = s ? s->full_name : NULL, .worker_id = worker_id};
    log_info(&ctx, event, "%s", detail);
    struct err err = {0};
    int64_t space_id = s ? (int64_t)s->id : 0, worker = (int64_t)worker_id;
    if (store_exec(r->life, &err,
                   "INSERT INTO events (at_ms, space_id, space, worker_id, event, detail)"
                   " VALUES (?, NULLIF(?, 0), ?, NULLIF(?, 0), ?, ?)",
                   "iititt", (int64_t)now_ms(), space_id, s ? s->full_name : "", worker, event,
                   detail) < 0)
        log_error(&ctx, "event.lost", "%s: %s", event, err.msg);
}
