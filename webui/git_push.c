/* A push: what git answered, and behind it how the new version gets along, as lines that git shows
 * behind "remote:" (band 2 of the sideband, gitprotocol-pack(5)). */
#include "common/cleanup.h"
#include "common/util.h"
#include "webui/git_http.h"
#include "webui/stream.h"
#include "webui/submit.h"
#include "webui/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (4 << 20)
#define WAIT_MS 900000 /* then git ends, and the Space's page tells the rest */
#define LOOK_MS 300

struct push {
    struct app *app;
    int64_t space_id;
    struct buf answer; /* git's, less its last flush where more is to come */
    bool sideband, follows;
    char sha[65];
    char said[64]; /* the stage that was told last */
    char failed[640];
    uint64_t until_ms;
};

static void push_free(void *arg)
{
    struct push *p = arg;
    buf_free(&p->answer);
    free(p);
}

/* A line behind "remote:". */
static int say(struct buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int say(struct buf *out, const char *fmt, ...)
{
    _cleanup_buf_ struct buf line = BUF_INIT(2048);
    va_list ap;
    va_start(ap, fmt);
    int r = buf_vprintf(&line, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < line.len;
         i++) /* a demo's words may be in it; not every git cleans them */
        if ((unsigned char)line.data[i] < ' ' || line.data[i] == 0x7f)
            line.data[i] = ' ';
    if (r == 0)
        r = buf_printf(out, "%04zx\2", line.len + 6);
    return r < 0 ? r : buf_printf(out, "%s\n", line.data ? line.data : "");
}

static int end_answer(struct buf *out)
{
    return buf_puts(out, "0000") < 0 ? -ENOMEM : 1;
}

static bool is_one_of(const char *stage, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(stage, *list) == 0)
            return true;
    return false;
}

/* What there is to say of the Space now: 1 where that was the last of it. */
static int tell(struct push *p, const struct view *v, struct buf *out)
{
    static const char *const failed[] = {"BUILD_ERROR", "CONFIG_ERROR", "NO_APP_FILE",
                                         "RUNTIME_ERROR", NULL};
    static const char *const resting[] = {"PAUSED", "STOPPED", "SLEEPING", NULL};
    const char *stage = v->stage;
    bool ours = strcmp(v->running_version, p->sha) == 0;
    if (strcmp(v->space.sha, p->sha) != 0)
        return say(out, "another version was submitted meanwhile: see %s", v->page) < 0 ? -ENOMEM
                                                                                        : 1;
    if (strcmp(stage, "RUNNING") == 0 && ours)
        return say(out, "running at %s", v->url) < 0 ? -ENOMEM : 1;
    if (is_one_of(stage, failed) || (strcmp(stage, "RUNNING") == 0 && *v->life.reason))
        return say(out, "%s: %s", stage, v->life.reason) < 0 || say(out, "logs: %s", v->page) < 0
                   ? -ENOMEM
                   : 1;
    if (is_one_of(stage, resting) && v->life.version_id == v->space.version_id)
        return say(out, "%s: the new version starts with the next visit of %s", stage, v->url) < 0
                   ? -ENOMEM
                   : 1;
    if (strcmp(stage, p->said) != 0) {
        snprintf(p->said, sizeof p->said, "%s", stage);
        if (say(out, "%s", strstr(stage, "BUILDING") ? "building…" : "starting…") < 0)
            return -ENOMEM;
    }
    return 0;
}

static int push_next(void *arg, bool news, struct buf *out)
{
    struct push *p = arg;
    struct space space;
    struct view v;
    (void)news;
    if (p->answer.len) {
        if (buf_append(out, p->answer.data, p->answer.len) < 0)
            return -ENOMEM;
        buf_free(&p->answer);
        if (!p->sideband)
            return 1;
        if (*p->failed && say(out, "%s", p->failed) < 0)
            return -ENOMEM;
        return p->follows ? 0 : end_answer(out);
    }
    int found = site_find_id(p->app->site, p->space_id, &space, NULL);
    if (found == 0)
        return say(out, "the Space was deleted meanwhile") < 0 ? -ENOMEM : end_answer(out);
    if (found < 0)
        return 0;
    view_of(p->app, &space, &v);
    int r = tell(p, &v, out);
    if (r == 0 && mono_ms() > p->until_ms)
        r = say(out, "it goes on without you: see %s", v.page) < 0 ? -ENOMEM : 1;
    return r == 1 ? end_answer(out) : r;
}

static int take(void *arg, int out, struct err *err)
{
    struct push *p = arg;
    int r = buf_read_fd(&p->answer, out);
    return r < 0 ? err_set(err, -r, "git's answer has more than 4 MiB") : 0;
}

/* Where git speaks in bands, its last flush is kept back: lines come before it. */
static void look_at_answer(struct push *p)
{
    struct buf *b = &p->answer;
    p->sideband = b->len >= 9 && b->data[4] >= 1 && b->data[4] <= 3 &&
                  memcmp(b->data + b->len - 4, "0000", 4) == 0;
    if (p->sideband)
        b->len -= 4;
}

enum MHD_Result git_receive_pack(struct req *r)
{
    enum MHD_Result answer;
    struct submit_result result = {0};
    struct err err = {0};
    struct view v;
    if (!git_space(r, &v, &answer))
        return answer;
    struct push *p = calloc(1, sizeof *p);
    if (!p)
        return MHD_NO;
    *p = (struct push){.app = r->app,
                       .space_id = v.space.id,
                       .answer = BUF_INIT(ANSWER_MAX),
                       .until_ms = mono_ms() + WAIT_MS};
    const struct link_arg args[] = {
        {"encoding", req_header(r, "Content-Encoding")}, {"author", auth_name(r)}, {0}};
    const struct submit_change change = {.space = &v.space,
                                         .kind = JOB_RECEIVE,
                                         .args = args,
                                         .fd = upload_fd(r->upload),
                                         .take = take,
                                         .arg = p};
    int n = submit_change(r->app, &change, &result, &err);
    if (n < 0 && p->answer.len == 0) {
        push_free(p);
        return req_fail(r, &err);
    }
    if (n < 0)
        snprintf(p->failed, sizeof p->failed, "not deployed: %s", err.msg);
    snprintf(p->sha, sizeof p->sha, "%s", result.sha);
    look_at_answer(p);
    p->follows = n == 0 && result.command_id != 0;
    struct stream_source source = {.next = push_next,
                                   .free = push_free,
                                   .interval_ms = LOOK_MS,
                                   .type = "application/x-git-receive-pack-result",
                                   .keepalive = "0005\2",
                                   .space_id = v.space.id};
    return stream_answer(r, &source, p);
}
