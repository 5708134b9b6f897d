#include "webui/api.h"

#include "common/cleanup.h"
#include "webui/logtail.h"
#include "webui/stream.h"
#include "webui/reach.h"
#include "webui/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES 65536
#define FOLLOW_MS 250
#define STAMP_LEN 24 /* "2026-11-23T06:28:00.123Z" opens each line */

struct logs {
    struct app *app;
    int64_t space_id;
    enum proto_log_kind kind;
    bool follow, events;
    long tail; /* 0: from the oldest line */
    struct logtail log;
    struct buf batch;
};

static void logs_free(void *arg)
{
    struct logs *l = arg;
    logtail_close(&l->log);
    buf_free(&l->batch);
    free(l);
}

/* Opens the newest log, first or when it may have changed to that of another worker. */
static int logs_open(struct logs *l, struct err *err)
{
    struct link_log files;
    int r = link_log_open(l->app->link, l->space_id, l->kind, &files, err);
    if (r < 0)
        return r;
    bool first = l->log.count == 0;
    if (!first && logtail_is_of(&l->log, &files)) {
        close_fd(&files.fds[0]);
        close_fd(&files.fds[1]);
        return 0;
    }
    logtail_close(&l->log);
    logtail_open(&l->log, &files);
    if (first && l->tail > 0)
        logtail_seek(&l->log, l->tail);
    return 0;
}

static bool has_stamp(const char *line, size_t len)
{
    return len > STAMP_LEN && line[4] == '-' && line[10] == 'T' && line[STAMP_LEN - 1] == 'Z' &&
           line[STAMP_LEN] == ' ';
}

/* "data: {"data":"text\n","timestamp":"..."}" for each line of the batch. */
static int append_events(struct buf *out, char *text, size_t len)
{
    while (len > 0) {
        char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;
        size_t skip = has_stamp(text, n) ? STAMP_LEN + 1 : 0;
        _cleanup_free_ char *line = strndup(text + skip, n - skip + (end != NULL));
        if (!line || buf_puts(out, "data: {\"data\":") < 0 || buf_json(out, line) < 0 ||
            buf_printf(out, ",\"timestamp\":\"%.*s\"}\n\n", skip ? STAMP_LEN : 0, text) < 0)
            return -ENOMEM;
        n += end != NULL;
        text += n;
        len -= n;
    }
    return 0;
}

static int logs_next(void *arg, bool news, struct buf *out)
{
    struct logs *l = arg;
    struct err err;
    if (l->log.count == 0 || (news && l->follow)) {
        /* Without a runner there is nothing new either: what is open is still read. */
        if (logs_open(l, &err) < 0 && !l->follow)
            return 1;
    }
    buf_clear(&l->batch);
    bool some = logtail_read(&l->log, !l->follow, BATCH_BYTES, &l->batch);
    int r = 0;
    if (some)
        r = l->events ? append_events(out, l->batch.data, l->batch.len)
                      : buf_append(out, l->batch.data, l->batch.len);
    if (r < 0)
        return r;
    return !some && !l->follow;
}

enum MHD_Result api_logs(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    enum proto_log_kind kind = strcmp(r->what, "run") == 0     ? LOG_KIND_RUN
                               : strcmp(r->what, "build") == 0 ? LOG_KIND_BUILD
                                                               : 0;
    if (!kind)
        return req_error(r, 404, "a Space has the logs \"run\" and \"build\"");
    const char *accept = req_header(r, "Accept"), *agent = req_header(r, "User-Agent");
    /* huggingface_hub takes it for granted that logs are events that go on, and asks for neither.
     */
    bool hub = agent && strstr(agent, "hf_hub/") && !req_query(r, "follow");
    struct logs *l = calloc(1, sizeof *l);
    if (!l)
        return MHD_NO;
    *l = (struct logs){.app = r->app,
                       .space_id = v.space.id,
                       .kind = kind,
                       .follow = hub || req_query_number(r, "follow", 0, 1, 0) == 1,
                       .events = hub || (accept && strstr(accept, "text/event-stream")),
                       .tail = req_query_number(r, "tail", 1, 1000000, 0),
                       .log = {.fds = {-1, -1}},
                       .batch = BUF_INIT(4 * BATCH_BYTES)};
    if (logs_open(l, &err) < 0) {
        logs_free(l);
        return req_fail(r, &err);
    }
    struct stream_source source = {
        .next = logs_next,
        .free = logs_free,
        .interval_ms = l->follow ? FOLLOW_MS : 0,
        .type = l->events ? "text/event-stream" : "text/plain; charset=utf-8",
        .keepalive = l->events ? "data:\n\n" : "",
        .space_id = l->follow ? v.space.id : -1,
    };
    return stream_answer(r, &source, l);
}
