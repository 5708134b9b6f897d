/* The sandboxes of builds: started for a step, read line by line, ended. */
#include "runner/build_job.h"

#include "common/cleanup.h"
#include "common/conf.h"
#include "common/limits_met.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/build_index.h"
#include "runner/build_models.h"
#include "runner/build_env.h"
#include "runner/egress.h"
#include "runner/models.h"
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

#define LINE_BYTES (64 * 1024) /* of a lock: a package with many hashes */
#define PRINTED_MAX (64ull << 20)
#define PIECES_A_TURN 4
#define LOCK_PIPE (256 << 10) /* longer locks are rare: they wait for their sandbox */

/* ---- what it says ---- */

static void take_log(struct build *b, char *text)
{
    char *end = text + strcspn(text, " ");
    if (!*end || end - text > 20)
        return;
    *end = 0;
    for (char *c = text; *c; c++)
        *c = *c >= 'a' && *c <= 'z' ? *c : '?';
    build_say(b, text, "%s", end + 1);
}

static bool take_line(void *arg, char *line, size_t len)
{
    (void)len;
    struct build_job *j = arg;
    struct build *b = j->b;
    if (strncmp(line, "log ", 4) == 0) {
        take_log(b, line + 4);
    } else if (strncmp(line, "lock ", 5) == 0 && j->phase == PHASE_RESOLVE) {
        if (buf_printf(&b->lock, "%s\n", line + 5) < 0)
            build_fail(b, "its lock is longer than this server takes");
    } else if (strncmp(line, "deb ", 4) == 0 && j->phase == PHASE_DEBS) {
        if (buf_printf(&b->debs, "%s\n", line + 4) < 0)
            build_fail(b, "its packages are more than this server takes");
    } else if (strncmp(line, "model ", 6) == 0 && j->phase == PHASE_MODELS) {
        if (buf_printf(&b->found, "%s\n", line + 6) < 0)
            build_fail(b, "its models are more files than this server takes");
    } else if (strncmp(line, "plan ", 5) == 0 && j->phase == PHASE_PLAN && !b->planned) {
        b->planned = j->resulted = true;
        build_take_plan(b, line + 5);
    } else if (strncmp(line, "result ", 7) == 0) {
        j->resulted = true;
        if (j->phase == PHASE_RESOLVE)
            b->wheels = strstr(line, "\"wheels\": true");
    } else if (strncmp(line, "error ", 6) == 0) {
        build_fail(b, line + 6);
    }
    return true;
}

static void stop_reading(struct build_job *j)
{
    loop_del(j->b->r->loop, &j->out_io);
    close_fd(&j->out);
}

static void read_output(struct build_job *j, unsigned pieces)
{
    int n = j->out < 0 ? 1 : lines_read(&j->lines, j->out, pieces, take_line, j);
    if (n > 0)
        return;
    if (n < 0) {
        build_fail(j->b, "it printed more than this server reads");
        if (j->worker)
            worker_stop(j->worker, 0);
    }
    stop_reading(j);
}

static void on_output(void *arg, uint32_t events)
{
    (void)events;
    read_output(arg, PIECES_A_TURN);
}

/* ---- its way out ---- */

static void on_egress_says(void *arg, const char *line)
{
    const struct build_job *j = arg;
    build_say(j->b, "network", "%s", line);
}

static void on_egress_end(void *arg, const char *why)
{
    struct build_job *j = arg;
    if (j == j->b->job)
        build_fail(j->b, why);
    egress_end(&j->egress);
    if (j->worker)
        worker_stop(j->worker, 0);
}

static void close_egress(struct build_job *j)
{
    struct build *b = j->b;
    const struct egress_counts *c = j->egress ? egress_counts(j->egress) : NULL;
    if (c && c->refused && b->reason[0]) {
        size_t len = strlen(b->reason);
        snprintf(
            b->reason + len, sizeof(b->reason) - len,
            " (it asked for %s, which this server does not let builds reach; the operator can: "
            "build.hosts)",
            c->first_refused);
    }
    if (c && (c->bytes_in || c->refused)) {
        char in[32];
        format_bytes(c->bytes_in, in);
        build_say(b, "network", "%" PRIu64 " connections, %s received, %" PRIu64 " refused",
                  c->connections, in, c->refused);
    }
    egress_end(&j->egress);
}

/* ---- its end ---- */

static void free_job(struct build_job *j)
{
    stop_reading(j);
    egress_end(&j->egress);
    close_fd(&j->in);
    lines_free(&j->lines);
    free(j);
}

static void on_end(struct worker *w, const struct worker_end *e)
{
    struct build_job *j = w->owner;
    struct build *b = j->b;
    j->worker = NULL;
    if (j == b->ahead) {
        b->ahead = NULL;
        free_job(j);
        build_ahead_ended(b);
        return;
    }
    read_output(j, UINT_MAX); /* at most what it may print in all */
    stop_reading(j);
    close_egress(j);
    bool ok = j->resulted && e->reason == EXIT_EXITED && e->status == 0 && !b->reason[0];
    bool held_up = worker_is_held_up(e->code);
    b->job = NULL;
    free_job(j);
    if (!ok && !b->reason[0] && !held_up) {
        char text[512];
        worker_end_text(&w->limits, e, text, sizeof(text));
        build_fail(b, public_reason(0, text));
        if (strchr(text, '/'))
            log_error(NULL, "build.failed", "%s", text);
    } else if (!ok && b->reason[0] && e->met) {
        char met[400];
        size_t len = strlen(b->reason);
        limits_met_text(e->met, &w->limits, met, sizeof(met));
        snprintf(b->reason + len, sizeof(b->reason) - len, " (ran into: %s)", met);
    }
    build_job_ended(b, ok, held_up && !ok && !b->reason[0] ? e->code : 0);
}

void build_job_drop_ahead(struct build *b)
{
    if (b->ahead)
        worker_stop(b->ahead->worker, 0);
}

bool build_job_stop(struct build *b)
{
    if (b->job)
        worker_stop(b->job->worker, 0);
    build_job_drop_ahead(b);
    return b->job || b->ahead;
}

/* ---- the start ---- */

/* The lock for an install, the entries for models; nothing else has an input. The lock of one that
 * is ahead comes later. */
static int open_input(struct build_job *j, struct err *err)
{
    const struct build *b = j->b;
    const struct buf *text = j->phase == PHASE_MODELS ? &b->preload : &b->lock;
    int fds[2];
    if (j == b->ahead) {
        if (pipe2(fds, O_CLOEXEC) < 0)
            return err_errno(err, "cannot make a pipe");
        (void)fcntl(fds[1], F_SETPIPE_SZ, LOCK_PIPE);
        j->in = fds[1];
        (void)fd_set_nonblock(j->in, true);
        return fds[0];
    }
    if (j->phase != PHASE_INSTALL && j->phase != PHASE_MODELS) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        return null < 0 ? err_errno(err, "cannot open /dev/null") : null;
    }
    _cleanup_close_ int fd = memfd_create("vitrine-input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int n = fd < 0 ? -errno : write_all(fd, text->data ? text->data : "", text->len);
    if (n == 0 && (lseek(fd, 0, SEEK_SET) < 0 ||
                   fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0))
        n = -errno;
    return n < 0 ? err_set(err, -n, "cannot hand its input over: %s", strerror(-n)) : steal_fd(&fd);
}

static int begin(struct build_job *j, struct err *err)
{
    static struct proto_start start; /* large */
    struct build *b = j->b;
    struct runner *r = b->r;
    int pipe_fds[2];
    _cleanup_close_ int in = open_input(j, err), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (in < 0 || null < 0)
        return in < 0 ? in : err_errno(err, "cannot open /dev/null");
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    j->out = pipe_fds[0];
    _cleanup_close_ int theirs = pipe_fds[1];
    struct worker *w = worker_new(r, NULL);
    if (!w)
        return err_set(err, ENOMEM, "the server is out of memory");
    w->id = j->phase == PHASE_PLAN ? b->id : ++r->last_job_id;
    w->on_end = on_end;
    w->owner = j;
    int n = fd_set_nonblock(j->out, true);
    if (n == 0)
        n = build_recipe(j, w, &start, err);
    if (n == 0)
        n = worker_start(w, &start, (int[]){in, theirs, null}, err);
    if (n < 0)
        worker_free(w);
    else
        j->worker = w;
    return n;
}

static void open_way_out(struct build_job *j)
{
    struct err err = {0};
    bool models = j->phase == PHASE_MODELS;
    if (!models && (j->phase == PHASE_PLAN || !build_index_has_way_out(j->b->r)))
        return;
    const struct egress_hooks hooks = {.on_say = on_egress_says,
                                       .on_end = on_egress_end,
                                       .policy = models ? build_models_policy : NULL,
                                       .arg = j};
    if (egress_begin(&j->egress, j->worker, &hooks, &err) == 0)
        return;
    if (j == j->b->job)
        build_fail(j->b, err.msg);
    worker_stop(j->worker, 0);
}

/* In *slot, which is b->job or b->ahead. NULL where it cannot. */
static struct build_job *start_in(struct build *b, struct build_job **slot, enum build_phase phase,
                                  struct err *err)
{
    struct build_job *j = calloc(1, sizeof(*j));
    if (!j) {
        err_set(err, ENOMEM, "the server is out of memory");
        return NULL;
    }
    *j = (struct build_job){.b = b,
                            .phase = phase,
                            .kind = slot == &b->ahead ? LOCK_SHARED : b->kind,
                            .in = -1,
                            .out = -1,
                            .lines = LINES_INIT(LINE_BYTES, false, PRINTED_MAX)};
    *slot = j;
    int n = space_make_folders(b->space, err);
    if (n == 0 && phase != PHASE_PLAN)
        n = env_make_fresh(b, build_job_folder(j), err);
    if (n == 0 && phase == PHASE_MODELS)
        n = models_make_folders(b->r->data, b->space->id,
                                b->r->range.first + 1 + b->space->uid_index, err);
    if (n == 0)
        n = begin(j, err);
    if (n == 0)
        return j;
    *slot = NULL;
    free_job(j);
    return NULL;
}

static int listen_to(struct build_job *j, struct err *err)
{
    j->out_io = loop_add(j->b->r->loop, j->out, EPOLLIN, on_output, j, err);
    return j->out_io ? 0 : -EIO;
}

/* The one that is ahead becomes the step: false where it cannot. */
static bool hand_over(struct build *b)
{
    struct build_job *j = b->ahead;
    struct err err = {0};
    size_t len = b->lock.len;
    int room = fcntl(j->in, F_GETPIPE_SZ);
    if (b->kind != LOCK_SHARED || room < 0 || len > (size_t)room || listen_to(j, &err) < 0)
        return false;
    if (len && write(j->in, b->lock.data, len) != (ssize_t)len) {
        loop_del(b->r->loop, &j->out_io);
        return false;
    }
    close_fd(&j->in);
    b->job = j;
    b->ahead = NULL;
    return true;
}

int build_job_start(struct build *b, struct err *err)
{
    if (b->ahead && b->phase == PHASE_INSTALL) {
        if (!hand_over(b)) {
            b->awaits_end = true;
            build_job_drop_ahead(b);
        }
        return 0;
    }
    struct build_job *j = start_in(b, &b->job, b->phase, err);
    if (!j)
        return -err->code;
    if (listen_to(j, err) < 0) {
        build_fail(b, err->msg);
        worker_stop(j->worker, 0);
    } else {
        open_way_out(j);
    }
    return 0;
}

void build_job_ahead(struct build *b)
{
    struct err err = {0};
    struct build_job *j = b->ahead ? NULL : start_in(b, &b->ahead, PHASE_INSTALL, &err);
    if (j) /* else later, with its reason */
        open_way_out(j);
}
