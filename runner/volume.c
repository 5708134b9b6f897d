#include "runner/volume.h"

#include "common/cleanup.h"
#include "common/limits_met.h"
#include "common/log.h"
#include "common/quota.h"
#include "common/util.h"
#include "runner/chore.h"
#include "runner/control.h"
#include "runner/events.h"
#include "runner/life.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>

#define TICK_MS 1000
#define PROJECT_EACH_MS 5000
#define MEASURE_EACH_MS 60000   /* at least, while it runs ... */
#define COST_FACTOR 20          /* ... but for at most a twentieth of the time, ... */
#define HURRY_FACTOR 4          /* ... or a fifth, where it may be over */
#define FRESH_MS 10000          /* a measurement that a start may rely on */
#define NEARLY_BYTES (64 << 10) /* a project's quota cannot be used up to the last byte */
#define LEAST_GROWTH (4 << 20)  /* the file system always moves a little */
#define LEAST_INODES 256
#define STOP_GRACE_MS 1000 /* it goes on writing meanwhile */

enum task { TASK_NONE, TASK_MEASURE, TASK_GIVE };

/* What the process that walks is told, and tells: in memory that both share. */
struct walk {
    char path[PATH_MAX];
    enum task task;
    uint64_t stop_inodes;
    uint32_t project;
    struct usage usage;
};

struct volumes {
    struct runner *r;
    int fd; /* DATA/volumes */
    bool project;
    struct loop_timer timer;
    struct walk *walk;
    uint64_t walk_id, walk_began_ms, rest_until_ms; /* the Space that is walked, 0 for none */
    uint64_t fs_bytes, fs_inodes;                   /* used when the walk began */
    uint64_t wanted_id;                             /* to be measured next */
};

static struct log_ctx ctx_of(const struct space *s)
{
    return (struct log_ctx){.space = s->full_name};
}

static uint32_t project_of(const struct space *s)
{
    return s->r->range.first + 1 + s->uid_index; /* its uid: nobody else's */
}

const char *volumes_kind(const struct runner *r)
{
    return r->volumes->project ? "project" : "soft";
}

bool volume_is_busy(const struct space *s)
{
    const struct volumes *v = s->r->volumes;
    return v->walk_id == s->id || v->wanted_id == s->id;
}

/* ---- what is used, and whether that is too much */

static uint32_t over(const struct volume *v, const struct space_limits *l)
{
    uint32_t met = 0;
    if (v->used.bytes > l->v[LIMIT_DATA_SIZE])
        met |= LIMIT_BIT(LIMIT_DATA_SIZE);
    if (v->used.inodes > l->v[LIMIT_DATA_INODES] || v->used.at_least)
        met |= LIMIT_BIT(LIMIT_DATA_INODES);
    return met;
}

static bool fs_used(const struct volumes *v, uint64_t *ret_bytes, uint64_t *ret_inodes)
{
    struct statfs fs;
    if (fstatfs(v->fd, &fs) < 0)
        return false;
    *ret_bytes = (fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize;
    *ret_inodes = fs.f_files - fs.f_ffree;
    return true;
}

static void describe(const struct volume *v, const struct space_limits *l, char out[160])
{
    char used[32], limit[32];
    format_bytes(v->used.bytes, used);
    format_bytes(l->v[LIMIT_DATA_SIZE], limit);
    if (over(v, l) & LIMIT_BIT(LIMIT_DATA_SIZE))
        snprintf(out, 160, "/data is full: %s of %s", used, limit);
    else if (v->used.inodes > l->v[LIMIT_DATA_INODES])
        snprintf(out, 160, "/data is full: %s%" PRIu64 " files and folders of %" PRIu64,
                 v->used.at_least ? "more than " : "", v->used.inodes - v->used.at_least,
                 l->v[LIMIT_DATA_INODES]);
    else
        snprintf(out, 160, "/data is full: more than %d folders lie in each other",
                 USAGE_MAX_DEPTH);
}

static bool lives(const struct worker *w, const struct space *s)
{
    return w->space == s && (w->state == WORKER_STARTING || w->state == WORKER_READY);
}

static void save(struct space *s)
{
    life_data_save(s->r, s, volumes_kind(s->r), NULL);
    control_changed(s);
}

/* The soft limit's only hold: who writes beyond it does not go on. */
static void stop_those_over(struct space *s)
{
    for (struct worker *w = s->r->workers; w; w = w->next) {
        char text[160];
        if (!lives(w, s) || w->data_read_only || !over(&s->volume, &w->limits))
            continue;
        describe(&s->volume, &w->limits, text);
        snprintf(w->end.message, sizeof(w->end.message),
                 "%s; it is read-only from the next start on, until there is room or the operator "
                 "gives it more (vitrine limits)",
                 text);
        worker_met(w, over(&s->volume, &w->limits));
        worker_stop(w, STOP_GRACE_MS);
    }
}

static void soft_tick(struct volumes *v, uint64_t now);

/* ---- walking, in a process of its own: one at a time */

static int do_walk(const void *arg, struct err *err)
{
    struct walk *w = *(struct walk *const *)arg;
    return w->task == TASK_GIVE ? usage_give_tree(w->path, w->project, err)
                                : usage_of_tree(w->path, w->stop_inodes, &w->usage, err);
}

static void set_timer(struct volumes *v)
{
    if (!loop_timer_is_set(&v->timer) && !v->r->stopping)
        loop_timer_set(v->r->loop, &v->timer, TICK_MS);
}

static void on_walked(void *owner, int code)
{
    struct volumes *v = owner;
    struct space *s = space_find(v->r, v->walk_id);
    uint64_t now = mono_ms(), took_ms = now - v->walk_began_ms;
    v->walk_id = 0;
    v->rest_until_ms = now + COST_FACTOR * took_ms;
    if (!s)
        return;
    struct volume *vol = &s->volume;
    struct log_ctx ctx = ctx_of(s);
    vol->cost_ms = took_ms;
    vol->at_ms = now; /* also where it failed: not again at once */
    if (code) {
        log_warn(&ctx, "data.walk", "its /data cannot be %s: %s",
                 v->walk->task == TASK_GIVE ? "given to its project" : "measured", strerror(code));
        return;
    }
    if (v->walk->task == TASK_GIVE) {
        vol->given_to = v->walk->project;
        save(s);
        return;
    }
    const struct usage *found = &v->walk->usage;
    bool changed =
        !vol->known || vol->used.bytes != found->bytes || vol->used.inodes != found->inodes;
    vol->known = true;
    vol->used = *found;
    vol->fs_bytes = v->fs_bytes;
    vol->fs_inodes = v->fs_inodes;
    if (changed)
        save(s);
    stop_those_over(s);
    soft_tick(v, now); /* the next one that is due */
}

static int begin_walk(struct space *s, enum task task, uint64_t stop_inodes, struct err *err)
{
    struct volumes *v = s->r->volumes;
    struct walk *w = v->walk;
    *w = (struct walk){.task = task, .stop_inodes = stop_inodes, .project = project_of(s)};
    snprintf(w->path, sizeof(w->path), "%s/volumes/%" PRIu64, s->r->data, s->id);
    if (!fs_used(v, &v->fs_bytes, &v->fs_inodes))
        return err_errno(err, "cannot look at %s/volumes", s->r->data);
    int r = chore_begin(s->r, do_walk, &w, on_walked, v, err);
    if (r < 0)
        return r;
    v->walk_id = s->id;
    v->walk_began_ms = mono_ms();
    if (v->wanted_id == s->id)
        v->wanted_id = 0;
    return 0;
}

static void measure(struct space *s, uint64_t limit_inodes)
{
    struct err err = {0};
    struct log_ctx ctx = ctx_of(s);
    if (begin_walk(s, TASK_MEASURE, limit_inodes, &err) < 0)
        log_warn(&ctx, "data.walk", "%s", err.msg);
}

/* ---- from time to time, while somebody may write */

/* The lowest that the file system was since: what others free meanwhile must not hide what the
 * Space takes. */
static bool may_be_over(struct volume *vol, const struct space_limits *l, uint64_t bytes,
                        uint64_t inodes)
{
    vol->fs_bytes = bytes < vol->fs_bytes ? bytes : vol->fs_bytes;
    vol->fs_inodes = inodes < vol->fs_inodes ? inodes : vol->fs_inodes;
    uint64_t size = l->v[LIMIT_DATA_SIZE], count = l->v[LIMIT_DATA_INODES];
    uint64_t room = size > vol->used.bytes ? size - vol->used.bytes : 0;
    uint64_t files = count > vol->used.inodes ? count - vol->used.inodes : 0;
    return bytes - vol->fs_bytes > (room > LEAST_GROWTH ? room : LEAST_GROWTH) ||
           inodes - vol->fs_inodes > (files > LEAST_INODES ? files : LEAST_INODES);
}

static void soft_tick(struct volumes *v, uint64_t now)
{
    uint64_t bytes, inodes;
    struct worker *next = NULL;
    if (v->walk_id || !fs_used(v, &bytes, &inodes))
        return;
    struct space *wanted = v->wanted_id ? space_find(v->r, v->wanted_id) : NULL;
    v->wanted_id = 0;
    if (wanted) {
        measure(wanted, 0);
        return;
    }
    for (struct worker *w = v->r->workers; w; w = w->next) {
        if (!w->space || !lives(w, w->space))
            continue;
        struct volume *vol = &w->space->volume;
        uint64_t age_ms = now - vol->at_ms;
        bool due = !vol->at_ms ||
                   (may_be_over(vol, &w->limits, bytes, inodes) &&
                    age_ms >= HURRY_FACTOR * vol->cost_ms) ||
                   (age_ms >= MEASURE_EACH_MS && now >= v->rest_until_ms);
        if (due && (!next || vol->at_ms < next->space->volume.at_ms))
            next = w;
    }
    if (next)
        measure(next->space, next->limits.v[LIMIT_DATA_INODES]);
}

static void read_quota(struct volumes *v, struct space *s)
{
    struct err err = {0};
    struct volume *vol = &s->volume;
    struct log_ctx ctx = ctx_of(s);
    struct usage before = vol->used;
    vol->at_ms = mono_ms();
    if (quota_usage(v->fd, project_of(s), &vol->used, &err) < 0) {
        log_warn(&ctx, "data.quota", "%s", err.msg);
        return;
    }
    uint64_t moved = vol->used.bytes > before.bytes ? vol->used.bytes - before.bytes
                                                    : before.bytes - vol->used.bytes;
    if (!vol->known || moved >= NEARLY_BYTES || vol->used.inodes != before.inodes) {
        vol->known = true;
        save(s);
    }
    for (struct worker *w = v->r->workers; w; w = w->next) {
        uint32_t met = 0;
        if (!lives(w, s))
            continue;
        if (vol->used.bytes + NEARLY_BYTES > w->limits.v[LIMIT_DATA_SIZE])
            met |= LIMIT_BIT(LIMIT_DATA_SIZE);
        if (vol->used.inodes >= w->limits.v[LIMIT_DATA_INODES])
            met |= LIMIT_BIT(LIMIT_DATA_INODES);
        worker_met(w, met);
    }
}

static void on_timer(void *arg)
{
    struct volumes *v = arg;
    bool any = v->wanted_id != 0;
    uint64_t now = mono_ms();
    for (struct worker *w = v->r->workers; w; w = w->next) {
        any |= w->space != NULL;
        if (v->project && w->space && lives(w, w->space) &&
            now - w->space->volume.at_ms >= PROJECT_EACH_MS)
            read_quota(v, w->space);
    }
    if (!v->project)
        soft_tick(v, now);
    if (any)
        set_timer(v);
}

/* ---- a worker's start and end */

static int set_quota(struct space *s, const struct space_limits *l, struct err *err)
{
    struct volumes *v = s->r->volumes;
    struct volume *vol = &s->volume;
    char name[24];
    snprintf(name, sizeof(name), "%" PRIu64, s->id);
    _cleanup_close_ int fd = openat(v->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open %s/volumes/%s", s->r->data, name);
    int given = quota_give(fd, project_of(s), err);
    if (given < 0)
        return given;
    uint64_t bytes = l->v[LIMIT_DATA_SIZE], inodes = l->v[LIMIT_DATA_INODES];
    int r = vol->set_bytes == bytes && vol->set_inodes == inodes
                ? 0
                : quota_set(v->fd, project_of(s), bytes, inodes, err);
    if (r < 0)
        return r;
    vol->set_bytes = bytes;
    vol->set_inodes = inodes;
    if (!given && vol->given_to == project_of(s))
        return 0;
    /* what is in it from before; the worker need not wait (usage.h). Another one is being walked:
     * with the next start, then. */
    vol->given_to = 0;
    return v->walk_id ? 0 : begin_walk(s, TASK_GIVE, 0, err);
}

int volume_prepare(struct space *s, struct worker *w, struct err *err)
{
    struct volumes *v = s->r->volumes;
    struct volume *vol = &s->volume;
    w->data_read_only = false;
    if (v->project) {
        struct err why = {0};
        int r = set_quota(s, &w->limits, &why);
        if (r == 0)
            return 0;
        if (conf_of(s->r)->sandbox_require_cgroup)
            return err_set(err, -r, "its /data has no quota: %s", why.msg);
        event_add(s->r, s, 0, "data.quota", "its /data has no quota: %s", why.msg);
        return 0;
    }
    uint32_t met = vol->known ? over(vol, &w->limits) : 0;
    if (!met)
        return 0;
    /* beside one that runs, and is measured, it can do without */
    bool fresh = vol->at_ms && mono_ms() - vol->at_ms <= FRESH_MS && !volume_is_busy(s);
    if (s->workers == 0 && !fresh) {
        if (!v->walk_id)
            measure(s, w->limits.v[LIMIT_DATA_INODES]);
        return err_set(err, EAGAIN, "its storage was full and is being measured");
    }
    w->data_read_only = true;
    w->end.met |= met;
    return 0;
}

void volume_watch(struct space *s, struct worker *w)
{
    struct volumes *v = s->r->volumes;
    if (w->data_read_only) {
        char text[160];
        describe(&s->volume, &w->limits, text);
        event_add(s->r, s, w->id, "data.read-only",
                  "%s; it is read-only for this worker; ask the operator for more (vitrine limits)",
                  text);
    }
    set_timer(v);
}

void volume_adopt(struct space *s, struct worker *w)
{
    struct volumes *v = s->r->volumes;
    /* one that could write would have been stopped */
    w->data_read_only = !v->project && s->volume.known && over(&s->volume, &w->limits);
    set_timer(v);
}

void volume_ended(struct space *s)
{
    struct volumes *v = s->r->volumes;
    if (s->r->stopping || s->state == LC_DELETING)
        return;
    if (v->project) {
        read_quota(v, s);
        return;
    }
    s->volume.at_ms = 0; /* what was measured before its end says too little */
    if (v->walk_id) {
        v->wanted_id = s->id; /* at most one waits: others are measured when they start again */
        set_timer(v);
    } else {
        measure(s, 0);
    }
}

void volume_removed(struct space *s)
{
    struct volumes *v = s->r->volumes;
    if (v->project) /* the next one with this uid has a quota of its own */
        (void)quota_set(v->fd, project_of(s), 0, 0, NULL);
}

int volumes_open(struct runner *r, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/volumes", r->data);
    int n = mkdir_p(path, 0700, err);
    struct volumes *v = n == 0 ? calloc(1, sizeof(*v)) : NULL;
    if (!v)
        return n < 0 ? n : err_set(err, ENOMEM, "no memory for the volumes");
    r->volumes = v;
    v->r = r;
    v->timer = (struct loop_timer){.fn = on_timer, .arg = v};
    v->walk =
        mmap(NULL, sizeof(*v->walk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    v->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (v->fd < 0 || v->walk == MAP_FAILED)
        return err_errno(err, "cannot open %s", path);
    struct err why = {0};
    v->project = quota_probe(v->fd, &why) == 0;
    log_info(NULL, "runner.data-quota", "%s%s",
             v->project ? "by project, the kernel holds each Space to it" : "soft: ",
             v->project ? "" : why.msg);
    return 0;
}

void volumes_stop(struct runner *r)
{
    loop_timer_cancel(r->loop, &r->volumes->timer);
    chore_kill_of(r, r->volumes);
    r->volumes->walk_id = 0;
}

void volumes_close(struct runner *r)
{
    struct volumes *v = r->volumes;
    if (!v)
        return;
    loop_timer_cancel(r->loop, &v->timer);
    close_fd(&v->fd);
    if (v->walk && v->walk != MAP_FAILED)
        munmap(v->walk, sizeof(*v->walk));
    free(v);
    r->volumes = NULL;
}
