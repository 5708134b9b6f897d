/* See limits.h. */
#include "limits.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int write_proc(int proc_fd, const char *name, const char *value, struct err *err)
{
    _cleanup_close_ int fd = openat(proc_fd, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open /proc/%s", name);
    int r = write_all(fd, value, strlen(value));
    return r < 0 ? err_set(err, -r, "write %s to /proc/%s: %s", value, name, strerror(-r)) : 0;
}

int limits_of_namespace(int proc_fd, struct err *err)
{
    int r = write_proc(proc_fd, "sys/user/max_user_namespaces", "0", err);
    char few[16];
    snprintf(few, sizeof(few), "%d", LIMITS_INOTIFY);
    if (r == 0 && faccessat(proc_fd, "sys/user/max_inotify_instances", F_OK, 0) == 0)
        r = write_proc(proc_fd, "sys/user/max_inotify_instances", few, err);
    return r;
}

int limits_oom_score(int proc_fd, int score, struct err *err)
{
    char value[16];
    snprintf(value, sizeof(value), "%d", score);
    return write_proc(proc_fd, "self/oom_score_adj", value, err);
}

/* At most what this process may have itself: raising a hard limit takes rights that it lacks. */
static int set_limit(int which, const char *name, uint64_t value, struct err *err)
{
    struct rlimit now;
    if (getrlimit(which, &now) < 0)
        return err_errno(err, "read %s", name);
    rlim_t want = value < now.rlim_max ? value : now.rlim_max;
    struct rlimit limit = {want, want};
    if (setrlimit(which, &limit) < 0)
        return err_errno(err, "set %s to %llu", name, (unsigned long long)want);
    return 0;
}

void limits_ask_for_short_turns(void)
{
    struct { /* struct sched_attr, whose header clashes with libc's */
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } attr = {.size = sizeof(attr), .policy = SCHED_OTHER, .runtime_ns = 100000};
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

struct limit {
    int which;
    const char *name;
    uint64_t value;
    bool wanted;
};

static int set_limits(const struct limit *limits, size_t n, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        if (limits[i].wanted)
            r = set_limit(limits[i].which, limits[i].name, limits[i].value, err);
    return r;
}

int limits_apply(const struct sandbox_spec *s, bool has_group, struct err *err)
{
    const struct proto_start *st = &s->start;
    const struct limit limits[] = {
        {RLIMIT_NOFILE, "RLIMIT_NOFILE", st->open_files, st->open_files != 0},
        {RLIMIT_FSIZE, "RLIMIT_FSIZE", st->file_size_bytes, st->file_size_bytes != 0},
        /* counted by uid: each Space has its own */
        {RLIMIT_NPROC, "RLIMIT_NPROC", st->pids, st->pids != 0},
        /* of what can be written: addresses that are only reserved, as drivers of GPUs do by the
         * terabyte, do not count (they would in RLIMIT_AS) */
        {RLIMIT_DATA, "RLIMIT_DATA", st->memory_bytes, !has_group && st->memory_bytes != 0},
    };
    return set_limits(limits, sizeof(limits) / sizeof(*limits), err);
}

int limits_apply_fixed(struct err *err)
{
    static const struct limit limits[] = {
        /* 1, not 0: with a piped core_pattern the host's handler would run even at 0 */
        {RLIMIT_CORE, "RLIMIT_CORE", 1, true},
        {RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", 8u << 20, true},
        /* these two are counted for the starter's user as well, so for all Spaces together */
        {RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE", 0, true},
        /* few: POSIX timers count as well, and the kernel frees them in threads of its own, which
         * no group limits: a neighbour waited for those of a program that made many */
        {RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING", 64, true},
        {RLIMIT_RTPRIO, "RLIMIT_RTPRIO", 0, true},
        {RLIMIT_NICE, "RLIMIT_NICE", 0, true},
    };
    return set_limits(limits, sizeof(limits) / sizeof(*limits), err);
}
