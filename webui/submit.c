#include "webui/submit.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "webui/hub.h"
#include "webui/life.h"
#include "webui/link.h"
#include "webui/locks.h"
#include "webui/upload.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define COMMAND_MS 30000
#define CLEAN_UP_MS 5000
#define LEFTOVER_MS 600000

static void json_cleanup(json_t **j)
{
    json_decref(*j);
}
#define _cleanup_json_ __attribute__((cleanup(json_cleanup)))

int submit_check_name(const char *owner, const char *name, char full[200], struct err *err)
{
    int r = name_check(owner, "owner", err);
    if (r == 0)
        r = name_check(name, "name", err);
    if (r < 0)
        return r;
    char label[64];
    host_label(owner, name, 0, label);
    /* Browsers read such a host name as an encoded international one, and refuse it. */
    if (strncmp(label, "xn--", 4) == 0)
        return err_set(err, EINVAL,
                       "the host name of %s/%s would begin with \"xn--\", which browsers refuse: "
                       "choose another name",
                       owner, name);
    snprintf(full, 200, "%s/%s", owner, name);
    return 0;
}

/* Has what the runner keeps of a Space removed, then its row. */
static int remove_space(struct app *app, int64_t space_id, unsigned timeout_ms, struct err *err)
{
    int64_t command;
    int r = site_delete(app->site, space_id, &command, err);
    if (r < 0)
        return r;
    link_nudge(app->link);
    r = link_command_wait(app->link, command, timeout_ms, err);
    if (r == 0)
        r = site_remove(app->site, space_id, err);
    hub_publish(app->hub, space_id);
    return r;
}

/* The Space's row, made if there is none. *ret_new: it was made here. */
static int find_or_create(struct app *app, const struct submit_bundle *b, const char *full,
                          struct space *ret, bool *ret_new, struct err *err)
{
    int r = site_find_any(app->site, b->owner, b->name, ret, err);
    if (r == 1 && (ret->deleted_ms || (!ret->version_id && !ret->kept))) {
        /* An earlier one of this name is still on its way out. */
        r = remove_space(app, ret->id, COMMAND_MS, err);
        if (r < 0)
            return err_set(err, EBUSY, "%s is still being deleted: try again later", full);
        r = 0;
    }
    if (r != 0)
        return r < 0 ? r : 0;
    int64_t id;
    r = site_create(app->site, b->owner, b->name, &id, err);
    if (r < 0)
        return r;
    *ret_new = true;
    r = site_find_id(app->site, id, ret, err);
    return r == 1 ? 0 : r < 0 ? r : err_set(err, EIO, "the row of %s is gone", full);
}

/* The unpack job's limit, and time for the runner to tell. */
static unsigned job_wait_ms(const struct app *app)
{
    return (unsigned)app->conf->upload_job_timeout + 10000;
}

/* What can be wrong with what was submitted has many codes; to the submitter all are "not this",
 * but for those that call for something else than another bundle. */
static int judge(struct err *err)
{
    static const int kept[] = {ENOSPC, EDQUOT, EFBIG,  ETIMEDOUT, ECANCELED, EAGAIN,
                               EBUSY,  ENOMEM, ESTALE, ENXIO,     EEXIST,    EPIPE};
    bool keep = false;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        keep = keep || err->code == kept[i];
    if (!keep)
        err->code = EINVAL;
    return -err->code;
}

/* Makes the version of the record what the Space runs. */
static int deploy(struct app *app, const struct space *space, const json_t *record,
                  const char *message, int64_t *ret_command, struct err *err)
{
    const char *subject = json_string_value(json_object_get(record, "subject"));
    int r = site_deploy(app->site, space->id, record,
                        message   ? message
                        : subject ? subject
                                  : "",
                        ret_command, err);
    if (r == -ENOSPC)
        return err_set(err, ENOSPC, "the server's disk is full: nothing was changed");
    if (r < 0)
        return r;
    hub_publish(app->hub, space->id);
    link_nudge(app->link);
    r = link_command_wait(app->link, *ret_command, COMMAND_MS, err);
    /* Accepted, only late: the Space's stage will tell. */
    if (r == -ETIMEDOUT || r == -ECANCELED)
        return 0;
    if (r < 0 && space->version_id) {
        struct err ignored;
        (void)site_undo_deploy(app->site, space->id, space->version_id, &ignored);
    }
    if (r < 0)
        err->code = EBUSY;
    return r;
}

static int run_job(struct app *app, const struct submit_change *c, const char *name,
                   json_t **ret_record, struct err *err)
{
    struct link_job_ask ask = {
        .kind = c->kind, .space = c->space, .name = name, .args = c->args, .body_fd = c->fd};
    struct link_job *job;
    int r = link_job_begin(app->link, &ask, &job, err);
    if (r < 0)
        return r;
    if (c->take) {
        _cleanup_close_ int out = link_job_stream(job, job_wait_ms(app), err);
        r = out < 0 ? out : c->take(c->arg, out, err);
    }
    struct err why = {0};
    int ended = r < 0 && !c->take ? r : link_job_wait(job, job_wait_ms(app), ret_record, &why);
    link_job_free(job);
    if (ended < 0 && (r == 0 || err->code == EPIPE)) { /* the job knows best */
        *err = why;
        r = ended;
    }
    return r < 0 ? judge(err) : 0;
}

static int commit_and_deploy(struct app *app, const struct submit_change *c, const char *name,
                             struct submit_result *ret, struct err *err)
{
    _cleanup_json_ json_t *record = NULL;
    int r = run_job(app, c, name, &record, err);
    if (r < 0)
        return r;
    const char *sha = json_string_value(json_object_get(record, "sha"));
    snprintf(ret->sha, sizeof ret->sha, "%s", sha ? sha : "");
    ret->command_id = 0;
    if (!sha || !json_object_get(record, "sdk") ||
        (c->unless_current && strcmp(sha, c->space->sha) == 0))
        return 0;
    return deploy(app, c->space, record, c->message, &ret->command_id, err);
}

/* Remembered while it lasts: a commit is in the repository before its version is in site.db, and
 * the site may end in between. */
static int run_and_deploy(struct app *app, const struct submit_change *c, const char *name,
                          struct submit_result *ret, struct err *err)
{
    int r = site_submitting(app->site, c->space->id, true, err);
    if (r < 0)
        return r;
    r = commit_and_deploy(app, c, name, ret, err);
    /* Nobody knows how that job ended: the next start looks. */
    if (r != -ETIMEDOUT && r != -ECANCELED)
        (void)site_submitting(app->site, c->space->id, false, NULL);
    return r;
}

static int unpack_and_deploy(struct app *app, const struct submit_bundle *b,
                             const struct space *space, struct submit_result *ret, struct err *err)
{
    const struct link_arg args[] = {{"author", b->author}, {"message", b->message}, {0}};
    const struct submit_change c = {
        .space = space, .kind = JOB_UNPACK, .args = args, .message = b->message, .fd = b->fd};
    return run_and_deploy(app, &c, b->filename, ret, err);
}

int submit_run(struct app *app, const struct submit_bundle *b, struct submit_result *ret,
               struct err *err)
{
    char full[200];
    int r = submit_check_name(b->owner, b->name, full, err);
    if (r < 0)
        return r;
    _cleanup_locks_ struct locks_held *held = NULL;
    r = locks_take(app->locks, full, job_wait_ms(app), &held, err);
    if (r < 0)
        return r;

    struct space space;
    bool is_new = false;
    r = find_or_create(app, b, full, &space, &is_new, err);
    if (r < 0)
        return r;
    struct log_ctx ctx = {.space = space.full};
    r = unpack_and_deploy(app, b, &space, ret, err);
    if (r < 0) {
        log_info(&ctx, "submit.refused", "%s", err->msg);
        struct err later = {0};
        if (is_new && remove_space(app, space.id, CLEAN_UP_MS, &later) < 0)
            log_warn(&ctx, "submit.clean_up", "%s (it is done at the next start)", later.msg);
        return r;
    }
    log_info(&ctx, "submit.accepted", "%s", b->message);
    r = site_find_id(app->site, space.id, &ret->space, err);
    return r == 1 ? 0 : r < 0 ? r : err_set(err, ENOENT, "%s was deleted meanwhile", full);
}

int submit_change(struct app *app, const struct submit_change *c, struct submit_result *ret,
                  struct err *err)
{
    _cleanup_locks_ struct locks_held *held = NULL;
    struct log_ctx ctx = {.space = c->space->full};
    int r = locks_take(app->locks, c->space->full, job_wait_ms(app), &held, err);
    if (r < 0)
        return r;
    struct space space; /* as it is now, not as it was before the wait */
    r = site_find_id(app->site, c->space->id, &space, err);
    if (r != 1 || space.deleted_ms)
        return r < 0 ? r : err_set(err, ENOENT, "%s was deleted meanwhile", c->space->full);
    struct submit_change now = *c;
    now.space = &space;
    r = run_and_deploy(app, &now, "", ret, err);
    if (r < 0)
        log_info(&ctx, "submit.refused", "%s", err->msg);
    else if (ret->command_id)
        log_info(&ctx, "submit.accepted", "%s", ret->sha);
    if (r == 0)
        r = site_find_id(app->site, space.id, &ret->space, err) == 1 ? 0 : -ENOENT;
    return r;
}

int submit_commit(struct app *app, const struct space *space, int fd, const char *branch,
                  const char *author, struct submit_result *ret, struct err *err)
{
    const struct link_arg args[] = {{"branch", branch},
                                    {"author", author},
                                    /* Where nothing runs, files may come one by one. */
                                    {"unfinished", space->version_id ? "0" : "1"},
                                    {0}};
    const struct submit_change c = {.space = space, .kind = JOB_COMMIT, .args = args, .fd = fd};
    return submit_change(app, &c, ret, err);
}

int submit_rollback(struct app *app, const struct space *space, const char *rev, const char *author,
                    struct submit_result *ret, struct err *err)
{
    /* 64 digits: the hash over a tree, from before the Space had a repository */
    bool is_old = strlen(rev) == 64;
    char message[128];
    snprintf(message, sizeof message, "Back to %.12s", rev);
    const struct link_arg args[] = {{"again", "1"},
                                    {is_old ? "before" : "rev", rev},
                                    {"author", author},
                                    {"message", message},
                                    {0}};
    const struct submit_change c = {
        .space = space, .kind = JOB_VERSION, .args = args, .message = message, .fd = -1};
    return submit_change(app, &c, ret, err);
}

int submit_pack(struct app *app, const struct space *space, int fd, const char *tree,
                const char *message, const char *author, struct submit_result *ret, struct err *err)
{
    const struct link_arg args[] = {
        {"again", "1"}, {"tree", tree}, {"author", author}, {"message", message}, {0}};
    const struct submit_change c = {
        .space = space, .kind = JOB_VERSION, .args = args, .message = message, .fd = fd};
    return submit_change(app, &c, ret, err);
}

int submit_squash(struct app *app, const struct space *space, const char *message,
                  const char *author, struct submit_result *ret, struct err *err)
{
    const struct link_arg args[] = {{"again", "1"},     {"rev", "main"},      {"squash", "1"},
                                    {"author", author}, {"message", message}, {0}};
    const struct submit_change c = {
        .space = space, .kind = JOB_VERSION, .args = args, .message = message, .fd = -1};
    return submit_change(app, &c, ret, err);
}

int submit_forget(struct app *app, const struct space *space, const json_t *shas,
                  struct submit_result *ret, struct err *err)
{
    const struct link_arg args[] = {
        {"forget", "1"}, {"unfinished", space->version_id ? "0" : "1"}, {0}};
    _cleanup_json_ json_t *body = json_pack("{s:O}", "sha", shas);
    _cleanup_close_ int fd = upload_json(app, body, err);
    const struct submit_change c = {.space = space,
                                    .kind = JOB_VERSION,
                                    .args = args,
                                    .message = "Without LFS files that were deleted permanently",
                                    .fd = fd,
                                    .unless_current = true};
    return fd < 0 ? fd : submit_change(app, &c, ret, err);
}

int submit_command(struct app *app, const struct space *space, const char *verb, struct err *err)
{
    int64_t command;
    int r = site_command(app->site, space->id, verb, &command, err);
    if (r < 0)
        return r;
    link_nudge(app->link);
    r = link_command_wait(app->link, command, COMMAND_MS, err);
    if (r < 0 && r != -ETIMEDOUT && r != -ECANCELED)
        err->code = EBUSY; /* the runner's reason why it cannot be done now */
    return r < 0 ? -err->code : 0;
}

int submit_create(struct app *app, const char *owner, const char *name,
                  int (*prepare)(void *arg, struct app *app, const struct space *space,
                                 struct err *err),
                  void *arg, struct space *ret, struct err *err)
{
    const struct submit_bundle b = {.owner = owner, .name = name};
    _cleanup_locks_ struct locks_held *held = NULL;
    char full[200];
    bool is_new = false;
    int r = submit_check_name(owner, name, full, err);
    if (r == 0)
        r = locks_take(app->locks, full, COMMAND_MS, &held, err);
    if (r == 0)
        r = find_or_create(app, &b, full, ret, &is_new, err);
    if (r < 0)
        return r;
    if (!is_new)
        return err_set(err, EEXIST, "there is a Space %s already", ret->full);
    r = prepare ? prepare(arg, app, ret, err) : 0;
    if (r == 0)
        r = site_keep(app->site, ret->id, err);
    struct err later = {0};
    if (r < 0)
        (void)remove_space(app, ret->id, CLEAN_UP_MS, &later);
    return r;
}

int submit_move(struct app *app, const char *owner, const char *name, const char *to_owner,
                const char *to_name, struct err *err)
{
    _cleanup_locks_ struct locks_held *first = NULL;
    _cleanup_locks_ struct locks_held *second = NULL;
    char from[200], to[200] = "";
    struct space space = {0}, there;
    snprintf(from, sizeof from, "%s/%s", owner, name);
    int r = submit_check_name(to_owner, to_name, to, err);
    /* In one order, so that two moves do not wait for each other. */
    int order = strcasecmp(from, to);
    if (r == 0)
        r = locks_take(app->locks, order < 0 ? from : to, COMMAND_MS, &first, err);
    if (r == 0 && order != 0)
        r = locks_take(app->locks, order < 0 ? to : from, COMMAND_MS, &second, err);
    if (r == 0 && (r = site_find(app->site, owner, name, &space, err)) == 0)
        r = err_set(err, ENOENT, "there is no Space %s", from);
    if (r == 1 && order != 0 && (r = site_find_any(app->site, to_owner, to_name, &there, err)) == 1)
        return err_set(err, EEXIST, "there is a Space %s already", there.full);
    if (r < 0 || (r = site_rename(app->site, space.id, to_owner, to_name, err)) < 0)
        return r;
    struct life_space life;
    life_space(app->life, space.id, &life);
    r = submit_command(app, &space, "refresh", err);
    if (r == 0 && life.worker_id)
        r = submit_command(app, &space, "restart", err);
    hub_publish(app->hub, space.id);
    return r;
}

int submit_delete(struct app *app, const struct space *space, struct err *err)
{
    _cleanup_locks_ struct locks_held *held = NULL;
    int r = locks_take(app->locks, space->full, COMMAND_MS, &held, err);
    if (r < 0)
        return r;
    return remove_space(app, space->id, COMMAND_MS, err);
}

struct leftovers {
    struct app *app;
    struct site_deleted *rows;
    size_t n;
    int64_t *half; /* Spaces whose submission was cut off */
    size_t n_half;
};

static void leftovers_free(struct leftovers *l)
{
    free(l->rows);
    free(l->half);
    free(l);
}

/* main may have moved, and nobody was told. */
static void catch_up(struct app *app, int64_t space_id)
{
    const struct link_arg args[] = {{"rev", "main"}, {0}};
    struct submit_result result = {0};
    struct space space;
    struct err err = {0};
    if (site_find_id(app->site, space_id, &space, &err) != 1)
        return;
    const struct submit_change c = {
        .space = &space, .kind = JOB_VERSION, .args = args, .fd = -1, .unless_current = true};
    struct log_ctx ctx = {.space = space.full};
    if (submit_change(app, &c, &result, &err) < 0)
        log_warn(&ctx, "submit.catch_up", "%s", err.msg);
    else if (result.command_id)
        log_info(&ctx, "submit.catch_up", "deployed %s, whose submission was cut off", result.sha);
}

static void *finish_leftovers(void *arg)
{
    struct leftovers *l = arg;
    for (size_t i = 0; i < l->n && !l->app->stopping; i++) {
        struct err err = {0};
        if (remove_space(l->app, l->rows[i].space_id, LEFTOVER_MS, &err) < 0)
            log_warn(NULL, "submit.leftover", "Space %lld: %s", (long long)l->rows[i].space_id,
                     err.msg);
    }
    for (size_t i = 0; i < l->n_half && !l->app->stopping; i++)
        catch_up(l->app, l->half[i]);
    leftovers_free(l);
    return NULL;
}

int submit_finish_leftovers(struct app *app, pthread_t *ret_thread, struct err *err)
{
    struct leftovers *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(err, ENOMEM, "out of memory");
    l->app = app;
    /* Listed here, so that what is submitted from now on is not among them. */
    int r = site_leftovers(app->site, &l->rows, &l->n, err);
    if (r == 0)
        r = site_half_submitted(app->site, &l->half, &l->n_half, err);
    if (r == 0 && (r = pthread_create(ret_thread, NULL, finish_leftovers, l)) != 0)
        r = err_set(err, r, "cannot start a thread: %s", strerror(r));
    if (r < 0)
        leftovers_free(l);
    return r;
}
