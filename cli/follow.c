#include "follow.h"

#include "common/util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define ASK_FIRST_MS 50
#define ASK_MAX_MS 400
#define AWAY_MAX_MS 15000 /* for how long the server may not answer at all */
#define LAST_LINES 5

static const char *const failed_stages[] = {
    "NO_APP_FILE", "CONFIG_ERROR", "BUILD_ERROR", "RUNTIME_ERROR",
    "PAUSED",      "STOPPED",      "DELETING",    NULL};

static bool is_failed(const char *stage)
{
    for (int i = 0; failed_stages[i]; i++)
        if (!strcmp(stage, failed_stages[i]))
            return true;
    return false;
}

/* Puts the last lines of the run log behind the message, on the same line. */
static void add_last_lines(struct client *c, const struct spacename *n, struct err *err)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/logs/run?tail=%d", n->path, LAST_LINES);
    struct client_request rq = {
        .method = "GET", .path = path, .accept = "text/plain", .body_fd = -1, .timeout_ms = 10000};
    _cleanup_answer_ struct client_answer ans = {0};
    if (client_send(c, &rq, &ans, NULL) < 0 || ans.status != 200 || ans.body.len == 0)
        return;
    char text[sizeof(err->msg)];
    size_t len = 0;
    /* From the end: what the program said last is what helps. Times are cut off. */
    const char *end = ans.body.data + ans.body.len;
    const char *from = ans.body.len > sizeof(text) / 2 ? end - sizeof(text) / 2 : ans.body.data;
    if (from > ans.body.data) {
        const char *line = memchr(from, '\n', (size_t)(end - from));
        from = line && line + 1 < end ? line + 1 : from;
    }
    for (const char *s = from; s < end && len + 4 < sizeof(text); s++) {
        bool at_line = s == ans.body.data || s[-1] == '\n';
        if (at_line && end - s > 25 && s[4] == '-' && s[10] == 'T' && s[23] == 'Z')
            s += 25;
        if (s >= end)
            break;
        if (*s == '\n') {
            if (s + 1 < end) {
                memcpy(text + len, " | ", 3);
                len += 3;
            }
        } else {
            text[len++] = (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s;
        }
    }
    text[len] = 0;
    if (len) {
        struct err with = *err;
        err_set(err, with.code, "%s; it printed last: %s", with.msg, text);
    }
}

static int failed(struct client *c, const struct spacename *n, const char *stage,
                  const char *reason, bool old_serves, struct err *err)
{
    err_set(err, EIO, "%s does not run (%s): %s%s", n->id, stage,
            *reason ? reason : "no reason is known",
            old_serves ? "; the version before it goes on serving" : "");
    if (!strcmp(stage, "RUNTIME_ERROR") || old_serves)
        add_last_lines(c, n, err);
    return -EIO;
}

/* The build's last line, where there is one to ask for. */
static void show_build(struct client *c, const struct spacename *n, struct progress *p)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/logs/build?tail=1", n->path);
    struct client_request rq = {
        .method = "GET", .path = path, .accept = "text/plain", .body_fd = -1, .timeout_ms = 10000};
    _cleanup_answer_ struct client_answer ans = {0};
    if (client_send(c, &rq, &ans, NULL) < 0 || ans.status != 200)
        return;
    const char *line = ans.body.data && ans.body.len ? ans.body.data : "";
    size_t len = ans.body.len;
    bool stamped = len > 25 && line[10] == 'T' && line[23] == 'Z' && line[24] == ' ';
    char text[200];
    snprintf(text, sizeof(text), "%.*s", (int)(len - (stamped ? 25 : 0)),
             line + (stamped ? 25 : 0));
    progress_update(p, 0, 0, text);
}

static void show(struct client *c, const struct spacename *n, const char *stage, const char *reason,
                 struct progress *p)
{
    if (!strcmp(stage, "BUILDING") || !strcmp(stage, "RUNNING_BUILDING")) {
        progress_phase(p, "build");
        show_build(c, n, p);
    } else {
        progress_phase(p, "start");
        progress_update(p, 0, 0, *reason ? reason : stage);
    }
}

int follow_start(struct client *c, const struct spacename *n, const char *version,
                 struct progress *p, char *stage, size_t stage_len, struct err *err)
{
    uint64_t last_answer_ms = mono_ms();
    int wait_ms = ASK_FIRST_MS;
    for (;;) {
        _cleanup_json_ json_t *j = NULL;
        int r = client_get(c, n->path, &j, err);
        if (r == 0) {
            last_answer_ms = mono_ms();
            const char *running = json_str(j, "running_version"), *reason = json_str(j, "reason");
            bool ours = !*running || !strcmp(running, version);
            snprintf(stage, stage_len, "%s", json_str(j, "stage"));
            if (strcmp(json_str(j, "version"), version))
                return err_set(err, EBUSY, "another version of %s was submitted meanwhile", n->id);
            /* Asleep: it was ready, and nobody came. */
            if ((!strcmp(stage, "RUNNING") || !strcmp(stage, "SLEEPING")) && ours) {
                progress_phase(p, "start");
                return 0;
            }
            if (is_failed(stage))
                return failed(c, n, stage, reason, false, err);
            if (!strcmp(stage, "RUNNING") && *reason)
                return failed(c, n, stage, reason, true, err);
            show(c, n, stage, reason, p);
        } else if (r == -ENOENT || r == -EACCES || mono_ms() - last_answer_ms > AWAY_MAX_MS) {
            return r;
        } else {
            progress_update(p, 0, 0, "waiting for the server");
        }
        poll(NULL, 0, wait_ms);
        wait_ms = wait_ms * 2 > ASK_MAX_MS ? ASK_MAX_MS : wait_ms * 2;
    }
}
