#include "runner/job.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/chore.h"
#include "runner/delete.h"
#include "runner/events.h"
#include "runner/logs.h"
#include "runner/public.h"
#include "runner/recipe.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <jansson.h>

#define MAX_RUNNING 4 /* the others wait */
#define MAX_OUTPUT (256 * 1024)
#define MAX_OUTPUT_IN_ALL (1024 * 1024)
#define CHUNKS_A_TURN 4 /* of what it prints; then the others have their turn */
#define PROGRESS_EACH_MS 100
#define JOB_PROGRAM "/run/vitrine/vitrine-job"
#define JOB_TREE "/job/tree"

struct job {
    struct job *next;
    struct runner *r;
    struct space *space;
    uint64_t job_id; /* webui's */
    uint64_t id;     /* its worker's, and N of .new-N */
    char name[256];  /* the upload's file name */
    int body;
    struct worker *worker; /* NULL: waits, or is over */
    int out;
    struct loop_io *out_io;
    struct buf line;
    size_t printed;       /* bytes, in all */
    uint64_t progress_ms; /* CLOCK_MONOTONIC of the last word about it */
    struct loop_timer timer;
    char *result; /* the JSON it printed */
    char error[1024];
    int error_code;
    char sha[65];
};

/* What the finishing child needs: plain data. */
struct finish {
    char fresh[PATH_MAX], tree[PATH_MAX];
    bool keep;
};

static unsigned running(const struct runner *r)
{
    unsigned n = 0;
    for (const struct job *j = r->jobs; j; j = j->next)
        n += j->worker != NULL;
    return n;
}

static void start_waiting(struct runner *r);

static void fail(struct job *j, int code, const char *message)
{
    if (j->error_code) /* the first one counts */
        return;
    j->error_code = code;
    snprintf(j->error, sizeof(j->error), "%s", message);
}

/* ---- the end ---- */

static int memfd_of(const char *text, struct err *err)
{
    _cleanup_close_ int fd = memfd_create("vitrine-job", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int n = fd < 0 ? -errno : write_all(fd, text, strlen(text));
    if (n == 0 && (lseek(fd, 0, SEEK_SET) < 0 ||
                   fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0))
        n = -errno;
    return n < 0 ? err_set(err, -n, "cannot hand the result over: %s", strerror(-n))
                 : steal_fd(&fd);
}

static void answer(struct job *j)
{
    struct proto_job_result m = {.job_id = j->job_id};
    _cleanup_close_ int fd = -1;
    struct err err = {0};
    if (!j->error_code && (fd = memfd_of(j->result, &err)) < 0)
        fail(j, err.code, err.msg);
    m.code = (uint32_t)j->error_code;
    snprintf(m.message, sizeof(m.message), "%s", j->error);
    snprintf(m.sha, sizeof(m.sha), "%s", j->error_code ? "" : j->sha);
    link_send(&j->r->webui, PROTO_JOB_RESULT, &m, fd >= 0 ? &fd : NULL, fd >= 0);
}

static void end(struct job *j)
{
    struct runner *r = j->r;
    struct space *s = j->space;
    answer(j);
    if (j->error_code)
        logs_build(r, s->id, false, "refused: %s", j->error);
    event_add(r, s, 0, j->error_code ? "upload.refused" : "upload.accepted", "%s",
              j->error_code ? j->error : j->sha);
    for (struct job **p = &r->jobs; *p; p = &(*p)->next) {
        if (*p == j) {
            *p = j->next;
            break;
        }
    }
    loop_timer_cancel(r->loop, &j->timer);
    loop_del(r->loop, &j->out_io);
    close_fd(&j->out);
    close_fd(&j->body);
    buf_free(&j->line);
    free(j->result);
    free(j);
    s->jobs--;
    if (s->state == LC_DELETING && !s->jobs && !s->workers)
        delete_files(s);
    start_waiting(r);
}

/* In the child: what was unpacked survives a power cut, and then has its name; or is removed. */
static int finish_tree(const void *arg, struct err *err)
{
    const struct finish *f = arg;
    if (f->keep) {
        _cleanup_close_ int fd = open(f->fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || syncfs(fd) < 0)
            return err_errno(err, "cannot sync %s", f->fresh);
        if (renameat2(AT_FDCWD, f->fresh, AT_FDCWD, f->tree, RENAME_NOREPLACE) == 0)
            return syncfs(fd) < 0 ? err_errno(err, "cannot sync %s", f->tree) : 0;
        if (errno != EEXIST)
            return err_errno(err, "cannot rename %s to %s", f->fresh, f->tree);
        /* the same content was submitted before */
    }
    return remove_tree(AT_FDCWD, f->fresh, err);
}

static void on_finished(void *owner, int code)
{
    struct job *j = owner;
    if (code)
        fail(j, code, public_reason(code, "the bundle could not be stored"));
    end(j);
}

static void on_not_finished(void *arg)
{
    struct job *j = arg;
    struct runner *r = j->r;
    end(j);
    runner_check_stopped(r);
}

static void finish(struct job *j)
{
    struct finish f = {.keep = !j->error_code};
    snprintf(f.fresh, sizeof(f.fresh), "%s/versions/%" PRIu64 "/.new-%" PRIu64, j->r->data,
             j->space->id, j->id);
    snprintf(f.tree, sizeof(f.tree), "%s/versions/%" PRIu64 "/%s", j->r->data, j->space->id,
             j->sha);
    struct err err = {0};
    if (chore_begin(j->r, finish_tree, &f, on_finished, j, &err) < 0) {
        fail(j, err.code, public_reason(err.code, err.msg));
        /* Not from in here: who goes through the jobs would lose the one it is at. */
        j->timer.fn = on_not_finished;
        loop_timer_set(j->r->loop, &j->timer, 0);
    }
}

/* ---- what it says ---- */

static void take_result(struct job *j, const char *json)
{
    json_error_t e;
    json_t *o = json_loads(json, 0, &e);
    const char *sha = json_string_value(json_object_get(o, "sha"));
    if (!sha || strlen(sha) != 64 || strspn(sha, "0123456789abcdef") != 64) {
        fail(j, EPROTO, "the bundle was unpacked, but the result cannot be read");
        json_decref(o);
        return;
    }
    snprintf(j->sha, sizeof(j->sha), "%s", sha);
    free(j->result);
    j->result = strdup(json);
    if (!j->result)
        fail(j, ENOMEM, "the server is out of memory");
    logs_build(j->r, j->space->id, false, "%" JSON_INTEGER_FORMAT " files, sdk %s",
               json_integer_value(json_object_get(o, "files")),
               json_string_value(json_object_get(o, "sdk")));
    size_t i;
    json_t *w;
    json_array_foreach(json_object_get(o, "warnings"), i, w)
        logs_build(j->r, j->space->id, false, "warning: %s", json_string_value(w));
    json_decref(o);
}

static void take_progress(struct job *j, const char *line)
{
    struct proto_job_progress p = {.job_id = j->job_id};
    uint64_t now = mono_ms();
    if (now - j->progress_ms < PROGRESS_EACH_MS ||
        sscanf(line, "%63s %" SCNu64 " %" SCNu64, p.step, &p.done, &p.total) != 3)
        return;
    j->progress_ms = now;
    link_send(&j->r->webui, PROTO_JOB_PROGRESS, &p, NULL, 0);
}

static void take_line(struct job *j, const char *line)
{
    if (strncmp(line, "progress ", 9) == 0)
        take_progress(j, line + 9);
    else if (strncmp(line, "result ", 7) == 0 && !j->result)
        take_result(j, line + 7);
    else if (strncmp(line, "error ", 6) == 0)
        fail(j, EINVAL, line + 6);
}

static void take_lines(struct job *j)
{
    for (char *nl; j->line.len && (nl = memchr(j->line.data, '\n', j->line.len));) {
        *nl = 0;
        take_line(j, j->line.data);
        buf_consume(&j->line, (size_t)(nl + 1 - j->line.data));
    }
}

static void read_output(struct job *j, unsigned chunks)
{
    char chunk[16384];
    while (j->out >= 0 && chunks--) {
        ssize_t n = read(j->out, chunk, sizeof(chunk));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        j->printed += n > 0 ? (size_t)n : 0;
        if (n > 0 && j->printed <= MAX_OUTPUT_IN_ALL &&
            buf_append(&j->line, chunk, (size_t)n) == 0) {
            take_lines(j);
            continue;
        }
        if (n > 0) {
            fail(j, EPROTO, "the result of unpacking is too large");
            if (j->worker)
                worker_stop(j->worker, 0);
        }
        loop_del(j->r->loop, &j->out_io);
        close_fd(&j->out);
    }
}

static void on_output(void *arg, uint32_t events)
{
    (void)events;
    read_output(arg, CHUNKS_A_TURN);
}

static void on_end(struct worker *w, const struct worker_end *e)
{
    struct job *j = w->owner;
    j->worker = NULL;
    read_output(j, UINT_MAX); /* at most what it may print in all */
    loop_timer_cancel(j->r->loop, &j->timer);
    if (!j->result || e->reason != EXIT_EXITED || e->status) {
        char text[512], message[600];
        worker_end_text(&w->limits, e, text, sizeof(text));
        snprintf(message, sizeof(message), "unpacking failed: %s", public_reason(0, text));
        if (!j->error_code && strchr(text, '/'))
            log_error(NULL, "job.failed", "%s", text);
        fail(j, EIO, message);
    }
    finish(j);
}

static void on_timeout(void *arg)
{
    struct job *j = arg;
    char message[128];
    snprintf(message, sizeof(message), "unpacking took longer than %" PRIu64 " s",
             conf_of(j->r)->upload_job_timeout / 1000);
    fail(j, ETIMEDOUT, message);
    worker_stop(j->worker, 0);
}

/* ---- the start ---- */

static int fill(struct job *j, struct proto_start *start, struct err *err)
{
    const struct conf *c = conf_of(j->r);
    char number[2][32], mount[2][PATH_MAX];
    snprintf(number[0], sizeof(number[0]), "%" PRIu64, c->upload_max_unpacked);
    snprintf(number[1], sizeof(number[1]), "%" PRIu64, c->upload_max_files);
    const char *argv[] = {JOB_PROGRAM, "unpack",      "--name",  j->name, "--max-unpacked",
                          number[0],   "--max-files", number[1], JOB_TREE};
    const char *env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/home/user",
                         "TMPDIR=/tmp"};
    snprintf(mount[0], sizeof(mount[0]), "rw:%s/versions/%" PRIu64 "/.new-%" PRIu64 ":" JOB_TREE,
             j->r->data, j->space->id, j->id);
    snprintf(mount[1], sizeof(mount[1]), "ro:%s/vitrine-job:" JOB_PROGRAM, j->r->programs);

    memset(start, 0, sizeof(*start));
    struct space_limits limits;
    space_limits_default(&limits, c); /* what a Space has of its own is for its worker */
    recipe_limits(start, j->r, &limits);
    start->uid_index = j->space->uid_index;
    start->file_size_bytes = c->upload_max_unpacked; /* the job's own limit, which has the words */
    snprintf(start->hostname, sizeof(start->hostname), "job");
    snprintf(start->cwd, sizeof(start->cwd), JOB_TREE);
    int n = 0;
    for (size_t i = 0; n >= 0 && i < sizeof(argv) / sizeof(argv[0]); i++)
        n = proto_list_add(start->argv, &start->argv_len, sizeof(start->argv), argv[i]);
    for (size_t i = 0; n >= 0 && i < sizeof(env) / sizeof(env[0]); i++)
        n = proto_list_add(start->env, &start->env_len, sizeof(start->env), env[i]);
    for (size_t i = 0; n >= 0 && i < 2; i++)
        n = proto_list_add(start->mounts, &start->mounts_len, sizeof(start->mounts), mount[i]);
    return n < 0 ? err_set(err, -n, "the path of the data folder is too long") : 0;
}

static int make_tree(struct job *j, struct err *err)
{
    int n = space_make_folders(j->space, err);
    if (n < 0)
        return n;
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/versions/%" PRIu64 "/.new-%" PRIu64, j->r->data, j->space->id,
             j->id);
    uid_t uid = j->r->range.first + 1 + j->space->uid_index;
    if (mkdir(path, 0700) < 0 || lchown(path, uid, uid) < 0)
        return err_errno(err, "cannot make the folder of a new version");
    return 0;
}

static int start(struct job *j, struct err *err)
{
    static struct proto_start start_message; /* large */
    struct runner *r = j->r;
    int n = make_tree(j, err);
    if (n == 0)
        n = fill(j, &start_message, err);
    if (n < 0)
        return n;
    int pipe_fds[2];
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    j->out = pipe_fds[0];
    _cleanup_close_ int theirs = pipe_fds[1];
    struct worker *w = worker_new(r, NULL);
    if (!w)
        return err_set(err, ENOMEM, "the server is out of memory");
    w->id = j->id;
    w->on_end = on_end;
    w->owner = j;
    n = fd_set_nonblock(j->out, true);
    if (n == 0) {
        j->out_io = loop_add(r->loop, j->out, EPOLLIN, on_output, j, err);
        n = j->out_io ? 0 : -EIO;
    }
    if (n == 0)
        n = worker_start(w, &start_message, (int[]){j->body, theirs, null}, err);
    if (n < 0) {
        worker_free(w);
        return n;
    }
    j->worker = w;
    close_fd(&j->body);
    loop_timer_set(r->loop, &j->timer, conf_of(r)->upload_job_timeout);
    return 0;
}

static void start_waiting(struct runner *r)
{
    if (r->stopping)
        return;
    for (struct job *j = r->jobs; j && running(r) < MAX_RUNNING; j = j->next) {
        if (j->worker || j->body < 0)
            continue;
        struct err err = {0};
        if (start(j, &err) == 0)
            continue;
        log_error(NULL, "job.start", "%s", err.msg);
        close_fd(&j->body);
        fail(j, err.code, public_reason(err.code, err.msg));
        finish(j);
        return; /* its end comes back here */
    }
}

static void refuse(struct runner *r, uint64_t job_id, int code, const char *message)
{
    struct proto_job_result m = {.job_id = job_id, .code = (uint32_t)code};
    snprintf(m.message, sizeof(m.message), "%s", message);
    link_send(&r->webui, PROTO_JOB_RESULT, &m, NULL, 0);
}

void job_begin(struct runner *r, struct proto_msg *m)
{
    const struct proto_job *ask = &m->u.job;
    struct err err = {0};
    if (ask->kind != JOB_UNPACK || m->n_fds < 1 || r->stopping) {
        refuse(r, ask->job_id, EINVAL, r->stopping ? "the server stops" : "no such job");
        return;
    }
    struct space *s = space_get(r, ask->space_id, ask->space, &err);
    if (!s || s->state == LC_DELETING) {
        refuse(r, ask->job_id, s ? EBUSY : err.code,
               s ? "it is being deleted" : public_reason(err.code, err.msg));
        return;
    }
    struct job *j = calloc(1, sizeof(*j));
    if (!j) {
        refuse(r, ask->job_id, ENOMEM, "the server is out of memory");
        return;
    }
    *j = (struct job){.r = r,
                      .space = s,
                      .job_id = ask->job_id,
                      .id = ++r->last_job_id,
                      .body = steal_fd(&m->fds[0]),
                      .out = -1,
                      .line = BUF_INIT(MAX_OUTPUT)};
    j->timer = (struct loop_timer){.fn = on_timeout, .arg = j};
    snprintf(j->name, sizeof(j->name), "%s", ask->name);
    s->jobs++;
    struct job **last = &r->jobs;
    while (*last)
        last = &(*last)->next;
    *last = j;
    logs_build(r, s->id, true, "unpacking %s", j->name[0] ? j->name : "the bundle");
    start_waiting(r);
}

static void cancel(struct runner *r, const struct space *s)
{
    for (struct job *j = r->jobs, *next; j; j = next) {
        next = j->next;
        if (s && j->space != s)
            continue;
        fail(j, ECANCELED, s ? "the Space is being deleted" : "the server stops");
        if (j->worker) {
            worker_stop(j->worker, 0);
        } else if (j->body >= 0) { /* was not begun: finish removes nothing */
            close_fd(&j->body);
            finish(j);
        }
    }
}

void job_cancel(struct space *s)
{
    cancel(s->r, s);
}

void job_cancel_all(struct runner *r)
{
    cancel(r, NULL);
}
