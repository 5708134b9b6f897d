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
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <jansson.h>

#define MAX_RUNNING 4  /* the others wait */
#define MAX_SERVING 16 /* besides: who downloads slowly is not to hold up who submits */
#define MAX_OUTPUT (256 * 1024)
#define MAX_OUTPUT_IN_ALL (1024 * 1024)
#define CHUNKS_A_TURN 4 /* of what it prints; then the others have their turn */
#define PROGRESS_EACH_MS 100
#define JOB_PROGRAM "/run/vitrine/vitrine-job"
#define JOB_TREE "/job/tree"
#define JOB_REPO "/job/repo"
#define JOB_BEFORE "/job/before"
#define JOB_DATA_FOLDER "/job/data"

static const struct kind {
    const char *command; /* of vitrine-job */
    const char *failed;  /* "... failed: REASON" */
    const char *logged;  /* what the build log says; NULL for what makes no version */
    bool writes;         /* alone with the repository */
    bool streams;        /* its stdout is for webui */
    bool serves;         /* for as long as somebody reads */
    bool data;           /* of /data, and not of the repository */
} kinds[] = {
    [JOB_UNPACK] = {"unpack", "unpacking", "unpacking", true, false, false, false},
    [JOB_COMMIT] = {"commit", "the commit", "a commit", true, false, false, false},
    [JOB_VERSION] = {"version", "the checkout", "checking out", true, false, false, false},
    [JOB_RECEIVE] = {"receive", "the push", "a git push", true, true, false, false},
    [JOB_SERVE] = {"serve", "the transfer", NULL, false, true, true, false},
    [JOB_READ] = {"read", "the question", NULL, false, true, false, false},
    [JOB_REF] = {"ref", "the change", NULL, true, false, false, false},
    [JOB_LFS] = {"lfs", "the upload", NULL, true, false, false, false},
    [JOB_DATA] = {"data", "the transfer", NULL, false, true, true, true},
    [JOB_DATA_DELETE] = {"data-delete", "the deletion", NULL, false, false, false, true},
};

struct job {
    struct job *next;
    struct runner *r;
    struct space *space;
    const struct kind *kind;
    bool writes;     /* as its kind, or as the repository must be made first */
    uint64_t job_id; /* webui's */
    uint64_t id;     /* its worker's, and N of .new-N */
    char name[256];  /* the upload's file name */
    char args[sizeof(((struct proto_job *)0)->args)];
    uint32_t args_len;
    bool begun;
    int body;              /* -1: it has none, or it was handed on */
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
    char sha[65]; /* "": no version came of it */
};

/* What the finishing child needs: plain data. */
struct finish {
    char fresh[PATH_MAX], tree[PATH_MAX];
    bool keep;
};

/* Is there a place for this one among those that run, and is its repository free? */
static bool may_start(const struct job *job)
{
    unsigned n = 0;
    for (const struct job *j = job->r->jobs; j; j = j->next) {
        if (!j->begun)
            continue;
        n += j->kind->serves == job->kind->serves;
        if (j->space == job->space && j->writes && job->writes)
            return false;
    }
    return n < (job->kind->serves ? MAX_SERVING : MAX_RUNNING);
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
    if (j->error_code && j->kind->logged)
        logs_build(r, s->id, false, "refused: %s", j->error);
    if (j->kind->logged && (j->error_code || j->sha[0]))
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
        fail(j, err.code, public_reason(err.code, err.msg));
        end_soon(j);
    }
}

/* ---- what it says ---- */

static void take_result(struct job *j, const char *json)
{
    json_error_t e;
    json_t *o = json_loads(json, 0, &e);
    const char *sha = json_string_value(json_object_get(o, "sha"));
    size_t len = sha ? strlen(sha) : 0;
    if (!json_is_object(o) ||
        (sha && ((len != 40 && len != 64) || strspn(sha, "0123456789abcdef") != len))) {
        fail(j, EPROTO, "it was done, but the result cannot be read");
        json_decref(o);
        return;
    }
    free(j->result);
    j->result = strdup(json);
    if (!j->result)
        fail(j, ENOMEM, "the server is out of memory");
    if (!sha || !j->kind->logged || !json_object_get(o, "sdk")) { /* no version */
        json_decref(o);
        return;
    }
    snprintf(j->sha, sizeof(j->sha), "%s", sha);
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

/* "ERRNO SENTENCE", where it makes a difference which error it is */
static void take_refusal(struct job *j, const char *text)
{
    char *end;
    long code = strtol(text, &end, 10);
    fail(j, code > 0 && code < 134 ? (int)code : EINVAL, *end == ' ' ? end + 1 : end);
}

static void take_line(struct job *j, const char *line)
{
    if (strncmp(line, "progress ", 9) == 0)
        take_progress(j, line + 9);
    else if (strncmp(line, "result ", 7) == 0 && !j->result)
        take_result(j, line + 7);
    else if (strncmp(line, "refused ", 8) == 0)
        take_refusal(j, line + 8);
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
            fail(j, EPROTO, "the job's result is too large");
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
        snprintf(message, sizeof(message), "%s failed: %s", j->kind->failed,
                 public_reason(0, text));
        if (!j->error_code && strchr(text, '/'))
            log_error(NULL, "job.failed", "%s", text);
        fail(j, EIO, message);
    }
    finish(j);
}

static uint64_t timeout_ms(const struct job *j)
{
    const struct conf *c = conf_of(j->r);
    return j->kind->serves ? c->upload_transfer_timeout : c->upload_job_timeout;
}

static void on_timeout(void *arg)
{
    struct job *j = arg;
    char message[128];
    snprintf(message, sizeof(message), "%s took longer than %" PRIu64 " s", j->kind->failed,
             timeout_ms(j) / 1000);
    fail(j, ETIMEDOUT, message);
    worker_stop(j->worker, 0);
}

/* ---- the start ---- */

struct places {
    char tree[PATH_MAX], repo[PATH_MAX];
    char before[PATH_MAX]; /* "" none */
};

static bool is_there(const char *folder, const char *name)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) &&
           faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A repository without a first commit has to be written, whatever the job is. */
static bool is_fresh(const char *repo)
{
    return !is_there(repo, "HEAD") || !is_there(repo, "refs/heads/main");
}

static int path_of(const struct job *j, const char *folder, const char *suffix, char *out)
{
    return snprintf(out, PATH_MAX, "%s/%s/%" PRIu64 "%s", j->r->data, folder, j->space->id,
                    suffix) < PATH_MAX
               ? 0
               : -ENAMETOOLONG;
}

/* An argument of the job's command, or NULL. */
static const char *arg_of(const struct job *j, const char *key)
{
    size_t len = strlen(key);
    for (uint32_t at = 0; at < j->args_len; at += (uint32_t)strlen(j->args + at) + 1)
        if (strncmp(j->args + at, key, len) == 0 && j->args[at + len] == '=')
            return j->args + at + len + 1;
    return NULL;
}

/* The tree of a version from before the Space had a repository: its current one, which becomes the
 * first commit, or one that is gone back to. */
static void find_before(struct job *j, struct places *p, bool fresh)
{
    const char *sha = arg_of(j, "before");
    struct site_space site;
    struct version v = {0};
    if (!sha && fresh && site_space(j->r, j->space->id, &site, NULL) == 1 && site.version_id &&
        site_version(j->r, j->space->id, site.version_id, &v, NULL) == 1)
        sha = v.sha;
    char versions[PATH_MAX];
    if (!sha || strlen(sha) != 64 || strspn(sha, "0123456789abcdef") != 64 ||
        path_of(j, "versions", "", versions) < 0 || !is_there(versions, sha) ||
        snprintf(p->before, sizeof(p->before), "%s/%s", versions, sha) >= (int)sizeof(p->before))
        p->before[0] = 0;
}

/* The list of what the message says; the first failure sticks. */
struct list {
    char *bytes;
    uint32_t *len;
    size_t max;
    int failed;
};

static __attribute__((format(printf, 2, 3))) void add(struct list *l, const char *fmt, ...)
{
    char text[PATH_MAX + 64];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (l->failed == 0)
        l->failed = n < 0 || (size_t)n >= sizeof(text)
                        ? -EMSGSIZE
                        : proto_list_add(l->bytes, l->len, l->max, text);
}

static int fill_lists(const struct job *j, const struct places *p, struct proto_start *start)
{
    const struct conf *c = conf_of(j->r);
    struct list argv = {start->argv, &start->argv_len, sizeof(start->argv), 0};
    struct list env = {start->env, &start->env_len, sizeof(start->env), 0};
    struct list mounts = {start->mounts, &start->mounts_len, sizeof(start->mounts), 0};
    add(&argv, JOB_PROGRAM);
    add(&argv, "%s", j->kind->command);
    add(&argv, "--name");
    add(&argv, "%s", j->name);
    add(&argv, "--max-unpacked");
    add(&argv, "%" PRIu64, c->upload_max_unpacked);
    add(&argv, "--max-files");
    add(&argv, "%" PRIu64, c->upload_max_files);
    add(&argv, "--max-file");
    add(&argv, "%" PRIu64, c->upload_max_file);
    add(&argv, "--max-repo");
    add(&argv, "%" PRIu64, c->upload_max_repository);
    add(&argv, "--repo");
    add(&argv, JOB_REPO);
    if (p->before[0]) {
        add(&argv, "--before");
        add(&argv, JOB_BEFORE);
    }
    add(&argv, "%s", j->kind->logged ? JOB_TREE : "-");
    for (uint32_t at = 0; at < j->args_len; at += (uint32_t)strlen(j->args + at) + 1)
        add(&argv, "%s", j->args + at);
    add(&env, "PATH=/usr/local/bin:/usr/bin:/bin");
    add(&env, "LANG=C.UTF-8");
    add(&env, "HOME=/home/user");
    add(&env, "TMPDIR=/tmp");
    if (j->kind->logged)
        add(&mounts, "rw:%s:" JOB_TREE, p->tree);
    if (j->kind->data)
        add(&mounts, "%s:%s/volumes/%" PRIu64 ":" JOB_DATA_FOLDER, j->kind->streams ? "ro" : "rw",
            j->r->data, j->space->id);
    else
        add(&mounts, "%s:%s:" JOB_REPO, j->writes ? "rw" : "ro", p->repo);
    if (p->before[0])
        add(&mounts, "ro:%s:" JOB_BEFORE, p->before);
    add(&mounts, "ro:%s/vitrine-job:" JOB_PROGRAM, j->r->programs);
    return argv.failed ? argv.failed : env.failed ? env.failed : mounts.failed;
}

static int fill(const struct job *j, const struct places *p, struct proto_start *start,
                struct err *err)
{
    const struct conf *c = conf_of(j->r);
    memset(start, 0, sizeof(*start));
    struct space_limits limits;
    space_limits_default(&limits, c); /* what a Space has of its own is for its worker */
    recipe_limits(start, j->r, &limits);
    start->uid_index = j->space->uid_index;
    /* the job's own limits, which have the words, are below that */
    start->file_size_bytes = c->upload_max_repository > c->upload_max_unpacked
                                 ? c->upload_max_repository
                                 : c->upload_max_unpacked;
    snprintf(start->hostname, sizeof(start->hostname), "job");
    snprintf(start->cwd, sizeof(start->cwd), "%s",
             j->kind->data     ? JOB_DATA_FOLDER
             : j->kind->logged ? JOB_TREE
                               : JOB_REPO);
    int n = fill_lists(j, p, start);
    return n < 0 ? err_set(err, -n,
                           "the path of the data folder is too long, or the arguments of "
                           "the job are")
                 : 0;
}

static int make_folder(const struct job *j, const char *path, bool may_be_there, struct err *err)
{
    uid_t uid = j->r->range.first + 1 + j->space->uid_index;
    bool made = mkdir(path, 0700) == 0;
    if ((!made && (errno != EEXIST || !may_be_there)) || (made && lchown(path, uid, uid) < 0))
        return err_errno(err, "cannot make the folder %s", path);
    return 0;
}

static int make_places(struct job *j, struct places *p, struct err *err)
{
    char repos[PATH_MAX];
    int n = space_make_folders(j->space, err);
    if (n < 0 || j->kind->data)
        return n;
    snprintf(repos, sizeof(repos), "%s/repos", j->r->data);
    if (path_of(j, "repos", ".git", p->repo) < 0 ||
        snprintf(p->tree, sizeof(p->tree), "%s/versions/%" PRIu64 "/.new-%" PRIu64, j->r->data,
                 j->space->id, j->id) >= (int)sizeof(p->tree))
        return err_set(err, ENAMETOOLONG, "the path of the data folder is too long");
    n = mkdir_p(repos, 0700, err);
    if (n == 0)
        n = make_folder(j, p->repo, true, err);
    if (n == 0 && j->kind->logged)
        n = make_folder(j, p->tree, false, err);
    return n;
}

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
    struct places places = {0};
    __attribute__((cleanup(stdio_close))) struct stdio io = {{-1, -1, -1}, -1, -1};
    int n = make_places(j, &places, err);
    if (n < 0)
        return n;
    if (!j->kind->data)
        find_before(j, &places, is_fresh(places.repo));
    n = fill(j, &places, &start_message, err);
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

/* Asked anew whenever one could start: the job before it may have made the repository. */
static bool writes(const struct job *j)
{
    char repo[PATH_MAX];
    if (j->kind->data)
        return false;
    return j->kind->writes || path_of(j, "repos", ".git", repo) < 0 || is_fresh(repo);
}

static void start_waiting(struct runner *r)
{
    if (r->stopping)
        return;
    for (struct job *j = r->jobs; j; j = j->next) {
        if (j->begun || j->error_code)
            continue;
        j->writes = writes(j);
        if (!may_start(j))
            continue;
        struct err err = {0};
        j->begun = true;
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
    bool known = ask->kind >= JOB_UNPACK && ask->kind <= JOB_DATA_DELETE &&
                 (ask->args_len == 0 || ask->args[ask->args_len - 1] == 0);
    if (!known || r->stopping) {
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
                      .kind = &kinds[ask->kind],
                      .job_id = ask->job_id,
                      .id = ++r->last_job_id,
                      .body = m->n_fds > 0 ? steal_fd(&m->fds[0]) : -1,
                      .out = -1,
                      .line = BUF_INIT(MAX_OUTPUT)};
    j->timer = (struct loop_timer){.fn = on_timeout, .arg = j};
    snprintf(j->name, sizeof(j->name), "%s", ask->name);
    memcpy(j->args, ask->args, ask->args_len);
    j->args_len = ask->args_len;
    s->jobs++;
    struct job **last = &r->jobs;
    while (*last)
        last = &(*last)->next;
    *last = j;
    if (ask->kind == JOB_UNPACK)
        logs_build(r, s->id, true, "unpacking %s", j->name[0] ? j->name : "the bundle");
    else if (j->kind->logged)
        logs_build(r, s->id, true, "%s", j->kind->logged);
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
