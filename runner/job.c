#include "runner/job.h"

#include "common/cleanup.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/chore.h"
#include "runner/delete.h"
#include "runner/events.h"
#include "runner/job_output.h"
#include "runner/job_recipe.h"
#include "runner/logs.h"
#include "runner/pack.h"
#include "runner/public.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <jansson.h>

#define MAX_JOBS 4096         /* that run or wait: webui has not more connections */
#define MAX_LINE (256 * 1024) /* of what it prints */
#define MAX_OUTPUT (1024 * 1024)
#define GAVE_WAY "a submission came"
#define PIECES_A_TURN 4 /* of what it prints; then the others have their turn */

/* How many run at the same time, the others wait; and how many of them are one Space's, whose
 * visitors are not to hold up those of all others. Everybody may ask about a public Space and
 * download it, slowly too: that is not to hold up who submits. */
static const struct line {
    unsigned most, of_space;
} submits = {4, 4}, asks = {8, 4}, serves = {32, 8};

/* What the finishing child needs: plain data. */
struct finish {
    char fresh[PATH_MAX], tree[PATH_MAX];
    bool keep;
};

static const struct line *line_of(const struct job_kind *k)
{
    return k->serves ? &serves : (k->streams || k->bare) && !k->writes ? &asks : &submits;
}

#define MAX_BEGUN 64 /* more are there only while many of them end */

struct begun {
    struct job *jobs[MAX_BEGUN];
    unsigned n;
};

/* Is there a place for this one among those that run, and is its repository free? */
static bool may_start(struct job *job, const struct begun *b)
{
    const struct line *line = line_of(job->kind);
    unsigned n = 0, of_space = 0;
    for (unsigned i = 0; i < b->n; i++) {
        bool alike = line_of(b->jobs[i]->kind) == line;
        n += alike;
        of_space += alike && b->jobs[i]->space == job->space;
    }
    if (n >= line->most || of_space >= line->of_space)
        return false;
    job->writes = job_writes(job);
    for (unsigned i = 0; job->writes && i < b->n; i++)
        if (b->jobs[i]->space == job->space && b->jobs[i]->writes) {
            if (b->jobs[i]->kind->yields && b->jobs[i]->worker) {
                job_fail(b->jobs[i], EBUSY, GAVE_WAY);
                worker_stop(b->jobs[i]->worker, 0);
            }
            return false;
        }
    return b->n < MAX_BEGUN;
}

static void start_waiting(struct runner *r);

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
    if (j->own)
        return;
    struct err err = {0};
    if (!j->error_code && (fd = memfd_of(j->result, &err)) < 0)
        job_fail(j, err.code, err.msg);
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
    if (s && j->error_code && j->kind->logged)
        logs_build(r, s->id, false, "refused: %s", j->error);
    if (s && j->kind->logged && (j->error_code || j->sha[0]))
        event_add(r, s, 0, j->error_code ? "upload.refused" : "upload.accepted", "%s",
                  j->error_code ? j->error : j->sha);
    if (j->own && j->error_code && j->error_code != EBUSY && j->error_code != ECANCELED)
        log_warn(NULL, "repo.pack", "%s: %s", s->full_name, j->error);
    else if (j->own && !j->error_code)
        log_debug(NULL, "repo.pack", "%s: %s", s->full_name, j->result);
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
    lines_free(&j->lines);
    if (s)
        s->jobs--;
    if (j->own)
        pack_ended(s, j->error_code == EBUSY);
    else if (j->writes && j->kind->writes)
        pack_later(s);
    free(j->result);
    free(j);
    if (s && s->state == LC_DELETING && !s->jobs && !s->workers)
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
        job_fail(j, code, public_reason(code, "the bundle could not be stored"));
    end(j);
}

static void on_not_finished(void *arg)
{
    struct job *j = arg;
    struct runner *r = j->r;
    end(j);
    runner_check_stopped(r);
}

/* Not from in here: who goes through the jobs would lose the one it is at. */
static void end_soon(struct job *j)
{
    j->timer.fn = on_not_finished;
    loop_timer_set(j->r->loop, &j->timer, 0);
}

static void finish(struct job *j)
{
    struct finish f = {.keep = !j->error_code && j->sha[0]};
    if (!j->kind->logged) {
        end_soon(j);
        return;
    }
    snprintf(f.fresh, sizeof(f.fresh), "%s/versions/%" PRIu64 "/.new-%" PRIu64, j->r->data,
             j->space->id, j->id);
    snprintf(f.tree, sizeof(f.tree), "%s/versions/%" PRIu64 "/%s", j->r->data, j->space->id,
             j->sha);
    struct err err = {0};
    if (chore_begin(j->r, finish_tree, &f, on_finished, j, &err) < 0) {
        job_fail(j, err.code, public_reason(err.code, err.msg));
        end_soon(j);
    }
}

static void on_output(void *arg, uint32_t events)
{
    (void)events;
    job_output_read(arg, PIECES_A_TURN);
}

static void on_end(struct worker *w, const struct worker_end *e)
{
    struct job *j = w->owner;
    j->worker = NULL;
    job_output_read(j, UINT_MAX); /* at most what it may print in all */
    loop_timer_cancel(j->r->loop, &j->timer);
    if (!j->result || e->reason != EXIT_EXITED || e->status) {
        char text[512], message[600];
        worker_end_text(&w->limits, e, text, sizeof(text));
        snprintf(message, sizeof(message), "%s failed: %s", j->kind->failed,
                 public_reason(0, text));
        if (!j->error_code && strchr(text, '/'))
            log_error(NULL, "job.failed", "%s", text);
        job_fail(j, EIO, message);
    }
    finish(j);
}

static uint64_t timeout_ms(const struct job *j)
{
    const struct conf *c = conf_of(j->r);
    return j->kind->serves || j->kind->yields ? c->upload_transfer_timeout : c->upload_job_timeout;
}

static void on_timeout(void *arg)
{
    struct job *j = arg;
    char message[128];
    snprintf(message, sizeof(message), "%s took longer than %" PRIu64 " s", j->kind->failed,
             timeout_ms(j) / 1000);
    job_fail(j, ETIMEDOUT, message);
    worker_stop(j->worker, 0);
}

/* ---- the start ---- */

/* Its stdin, stdout and stderr, and our ends of them. */
struct stdio {
    int theirs[3]; /* owned, but for [0] where the job has a body */
    int lines, stream;
};

static void stdio_close(struct stdio *io)
{
    for (int i = 0; i < 3; i++)
        close_fd(&io->theirs[i]);
    close_fd(&io->lines);
    close_fd(&io->stream);
}

static int make_stdio(const struct job *j, struct stdio *io, struct err *err)
{
    int lines[2], stream[2];
    int lines_at = j->kind->streams ? 2 : 1;
    io->theirs[0] = fcntl(j->body, F_DUPFD_CLOEXEC, 0);
    if (io->theirs[0] < 0)
        io->theirs[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (io->theirs[0] < 0 || pipe2(lines, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    io->lines = lines[0];
    io->theirs[lines_at] = lines[1];
    if (!j->kind->streams) {
        io->theirs[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
        return io->theirs[2] < 0 ? err_errno(err, "cannot open /dev/null") : 0;
    }
    if (pipe2(stream, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    io->stream = stream[0];
    io->theirs[1] = stream[1];
    return 0;
}

static int start(struct job *j, struct err *err)
{
    static struct proto_start start_message; /* large */
    struct runner *r = j->r;
    __attribute__((cleanup(stdio_close))) struct stdio io = {{-1, -1, -1}, -1, -1};
    int n = job_recipe(j, &start_message, err);
    if (n == 0)
        n = make_stdio(j, &io, err);
    if (n < 0)
        return n;
    j->out = steal_fd(&io.lines);
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
        n = worker_start(w, &start_message, io.theirs, err);
    if (n < 0) {
        worker_free(w);
        return n;
    }
    j->worker = w;
    close_fd(&j->body);
    loop_timer_set(r->loop, &j->timer, timeout_ms(j));
    if (io.stream >= 0) {
        struct proto_job_stream m = {.job_id = j->job_id};
        link_send(&r->webui, PROTO_JOB_STREAM, &m, &io.stream, 1);
    }
    return 0;
}

static void start_waiting(struct runner *r)
{
    if (r->stopping)
        return;
    struct begun b = {.n = 0};
    for (struct job *j = r->jobs; j; j = j->next) {
        if (j->begun && b.n == MAX_BEGUN)
            return; /* the end of each comes back here */
        if (j->begun)
            b.jobs[b.n++] = j;
    }
    for (struct job *j = r->jobs; j; j = j->next) {
        if (j->begun || j->error_code || !may_start(j, &b))
            continue;
        struct err err = {0};
        j->begun = true;
        b.jobs[b.n++] = j;
        if (start(j, &err) == 0)
            continue;
        log_error(NULL, "job.start", "%s", err.msg);
        close_fd(&j->body);
        job_fail(j, err.code, public_reason(err.code, err.msg));
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

/* At the end of the line. */
static struct job *job_new(struct runner *r, struct space *s, const struct job_kind *kind,
                           struct err *err)
{
    unsigned n = 0;
    struct job **last = &r->jobs;
    for (; *last; last = &(*last)->next)
        n++;
    struct job *j = n < MAX_JOBS ? calloc(1, sizeof(*j)) : NULL;
    if (!j) {
        err_set(err, n < MAX_JOBS ? ENOMEM : EAGAIN, "%s",
                n < MAX_JOBS ? "the server is out of memory"
                             : "the server has too much to do: try again in a moment");
        return NULL;
    }
    *j = (struct job){.r = r,
                      .space = s,
                      .kind = kind,
                      .id = ++r->last_job_id,
                      .body = -1,
                      .out = -1,
                      .lines = LINES_INIT(MAX_LINE, false, MAX_OUTPUT)};
    j->timer = (struct loop_timer){.fn = on_timeout, .arg = j};
    if (s)
        s->jobs++;
    *last = j;
    return j;
}

bool job_pack_runs(const struct runner *r)
{
    for (const struct job *j = r->jobs; j; j = j->next)
        if (j->own)
            return true;
    return false;
}

int job_pack_begin(struct space *s, struct err *err)
{
    struct job *j = job_new(s->r, s, job_kind(JOB_PACK), err);
    if (!j)
        return -err->code;
    j->own = true;
    j->args_len = (uint32_t)snprintf(j->args, sizeof(j->args), "keep=%" PRIu64,
                                     conf_of(s->r)->upload_keep_unreachable / 1000) +
                  1;
    start_waiting(s->r);
    return 0;
}

void job_begin(struct runner *r, struct proto_msg *m)
{
    const struct proto_job *ask = &m->u.job;
    struct err err = {0};
    const struct job_kind *kind = job_kind(ask->kind);
    bool known = kind && !kind->yields && (ask->args_len == 0 || ask->args[ask->args_len - 1] == 0);
    if (!known || r->stopping) {
        refuse(r, ask->job_id, EINVAL, r->stopping ? "the server stops" : "no such job");
        return;
    }
    struct space *s = kind->bare ? NULL : space_get(r, ask->space_id, ask->space, &err);
    if (!kind->bare && (!s || s->state == LC_DELETING)) {
        refuse(r, ask->job_id, s ? EBUSY : err.code,
               s ? "it is being deleted" : public_reason(err.code, err.msg));
        return;
    }
    struct job *j = job_new(r, s, kind, &err);
    if (!j) {
        refuse(r, ask->job_id, err.code, err.msg);
        return;
    }
    j->job_id = ask->job_id;
    j->body = m->n_fds > 0 ? steal_fd(&m->fds[0]) : -1;
    snprintf(j->name, sizeof(j->name), "%s", ask->name);
    memcpy(j->args, ask->args, ask->args_len);
    j->args_len = ask->args_len;
    if (s && ask->kind == JOB_UNPACK)
        logs_build(r, s->id, true, "unpacking %s", j->name[0] ? j->name : "the bundle");
    else if (s && j->kind->logged)
        logs_build(r, s->id, true, "%s", j->kind->logged);
    start_waiting(r);
}

static void cancel(struct runner *r, const struct space *s)
{
    for (struct job *j = r->jobs, *next; j; j = next) {
        next = j->next;
        if (s && j->space != s)
            continue;
        job_fail(j, ECANCELED, s ? "the Space is being deleted" : "the server stops");
        if (j->worker) {
            worker_stop(j->worker, 0);
        } else if (!j->begun) { /* finish removes nothing */
            j->begun = true;
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
