#include "runner/delete.h"

#include "common/log.h"
#include "common/util.h"
#include "runner/chore.h"
#include "runner/commands.h"
#include "runner/control.h"
#include "runner/events.h"
#include "runner/gateway.h"
#include "runner/job.h"
#include "runner/life.h"
#include "runner/models.h"
#include "runner/runner.h"
#include "runner/space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct order {
    char data[PATH_MAX - 256];
    uint64_t id;
};

static int remove_all(const void *arg, struct err *err)
{
    static const char *const folders[][2] = {
        {"versions", ""}, {"repos", ".git"}, {"volumes", ""}, {"logs", ""}, {MODELS_PARTS, ""}};
    const struct order *o = arg;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s/%" PRIu64 "%s", o->data, folders[i][0], o->id,
                 folders[i][1]);
        int n = remove_tree(AT_FDCWD, path, err);
        if (n < 0)
            return n;
    }
    return 0;
}

static void fail(struct space *s, int code, const char *message)
{
    s->removing = false;
    struct log_ctx ctx = {.space = s->full_name};
    log_error(&ctx, "space.delete", "%s", message);
    commands_fail(s, code, message);
    commands_progress(s); /* what was queued behind it */
}

static void on_removed(void *owner, int code)
{
    struct space *s = owner;
    struct runner *r = s->r;
    char message[256];
    if (code) {
        snprintf(message, sizeof(message), "its files cannot be removed: %s", strerror(code));
        fail(s, code, message);
        return;
    }
    struct err err = {0};
    life_begin(r);
    life_space_remove(r, s->id, NULL);
    commands_record_deleted(s);
    if (life_commit(r, &err) < 0) {
        fail(s, err.code, err.msg);
        return;
    }
    volume_removed(s);
    event_add(r, s, 0, "space.deleted", "everything of it is gone");
    gateway_route_none(r, s->label);
    control_deleted(s);
    commands_answer_deleted(s);
    space_free(s);
}

static void on_not_begun(void *arg)
{
    struct space *s = arg;
    char message[256];
    snprintf(message, sizeof(message), "its files cannot be removed: %s",
             strerror(s->removal_code));
    fail(s, s->removal_code, message);
}

void delete_files(struct space *s)
{
    if (s->removing)
        return;
    if (s->jobs) { /* they write below its folders; the last one calls again */
        job_cancel(s);
        return;
    }
    s->removing = true;
    struct order o = {.id = s->id};
    snprintf(o.data, sizeof(o.data), "%s", s->r->data);
    struct err err = {0};
    if (chore_begin(s->r, remove_all, &o, on_removed, s, &err) == 0)
        return;
    /* Not from in here: the command whose turn it is would be answered, and freed, below the feet
     * of who is just doing it. */
    s->removal_code = err.code;
    s->removal_timer = (struct loop_timer){.fn = on_not_begun, .arg = s};
    loop_timer_set(s->r->loop, &s->removal_timer, 0);
}
