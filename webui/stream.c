#include "webui/stream.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/auth.h"
#include "webui/hub.h"
#include "webui/reach.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 1024
#define OUT_MAX (8 << 20)
#define BLOCK_BYTES 32768
#define KEEPALIVE_MS 15000
#define LOOK_MS 3000 /* whether who follows may still */
#define CSP "default-src 'none'; frame-ancestors 'none'"

struct stream {
    struct app *app;
    struct req *req; /* is there for as long as its answer is */
    struct stream_source source;
    void *arg;
    struct hub_sub *sub;
    int connection_fd; /* libmicrohttpd's: only asked whether the other side is there */
    struct buf out;
    bool begun, ended;
    uint64_t said_ms, looked_ms;
};

static void stream_free(void *cls)
{
    struct stream *s = cls;
    if (!s)
        return;
    s->source.free(s->arg);
    hub_unsubscribe(s->sub);
    buf_free(&s->out);
    s->app->streams--;
    free(s);
}

/* Sleeps until something may have happened: 1 news, 0 time, -EPIPE the visitor left. */
static int await_news(struct stream *s)
{
    struct pollfd p[2] = {{s->connection_fd, POLLRDHUP, 0},
                          {s->sub ? hub_fd(s->sub) : -1, POLLIN, 0}};
    int n = poll(p, 2, (int)s->source.interval_ms);
    if (n < 0 && errno != EINTR)
        return -EPIPE;
    if (p[0].revents)
        return -EPIPE;
    if (p[1].revents) {
        hub_seen(s->sub);
        return 1;
    }
    return 0;
}

/* A token that was revoked or came to its end, a session that was ended, a Space that was deleted,
 * moved or made private: what was allowed at the beginning may not be any more. */
static bool still_may(struct stream *s)
{
    struct view v;
    if (mono_ms() - s->looked_ms < LOOK_MS)
        return true;
    s->looked_ms = mono_ms();
    return auth_still(s->req) && (s->source.space_id <= 0 || reach_still(s->req, &v));
}

static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
    (void)pos;
    struct stream *s = cls;
    while (s->out.len == 0) {
        if (s->ended || s->app->stopping)
            return MHD_CONTENT_READER_END_OF_STREAM;
        int news = s->begun ? await_news(s) : 1;
        if (news < 0)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        s->begun = true;
        if (!still_may(s))
            return MHD_CONTENT_READER_END_OF_STREAM;
        int r = s->source.next(s->arg, news == 1, &s->out);
        if (r < 0)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        s->ended = r == 1;
        if (s->out.len == 0 && mono_ms() - s->said_ms > KEEPALIVE_MS &&
            buf_puts(&s->out, s->source.keepalive) < 0)
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    s->said_ms = mono_ms();
    size_t n = s->out.len < max ? s->out.len : max;
    memcpy(out, s->out.data, n);
    buf_consume(&s->out, n);
    return (ssize_t)n;
}

enum MHD_Result stream_answer(struct req *r, const struct stream_source *source, void *arg)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct stream *s = info ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        source->free(arg);
        return MHD_NO;
    }
    *s = (struct stream){.app = r->app,
                         .req = r,
                         .source = *source,
                         .arg = arg,
                         .connection_fd = info->connect_fd,
                         .out = BUF_INIT(OUT_MAX),
                         .said_ms = mono_ms(),
                         .looked_ms = mono_ms()};
    int open = ++r->app->streams;
    struct err err = {0};
    if (source->space_id >= 0 && hub_subscribe(r->app->hub, source->space_id, &s->sub, &err) < 0) {
        stream_free(s);
        return req_fail(r, &err);
    }
    if (open > STREAMS_MAX) {
        stream_free(s);
        return req_error(r, 503, "too many pages follow live changes at the moment");
    }
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
                                                                      stream_read, s, stream_free);
    if (!response) {
        stream_free(s);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", source->type);
    MHD_add_response_header(response, "X-Accel-Buffering", "no");
    return req_queue(r, 200, response, CSP);
}
