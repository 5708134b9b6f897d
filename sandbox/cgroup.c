/* One sandbox's group: cgroup.h. */
#include "cgroup.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define MARK "user.vitrine.worker"
#define REMOVE_TRIES 110 /* ten of 1 ms, then of 10 ms */

static bool exists(const struct cgroup_group *g)
{
    return g->name[0] != '\0';
}

/* The group's folder in the hierarchy of that kind. */
static int group_fd(const struct cgroup_host *h, const struct cgroup_group *g,
                    enum cgroup_kind kind)
{
    int fd = h->fd[h->v2[kind] ? CGROUP_UNIFIED : kind];
    return fd < 0 || !exists(g) ? -1 : openat(fd, g->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int write_in(const struct cgroup_host *h, const struct cgroup_group *g,
                    enum cgroup_kind kind, const char *file, const char *value, struct err *err)
{
    int parent = h->fd[h->v2[kind] ? CGROUP_UNIFIED : kind];
    char path[96];
    snprintf(path, sizeof(path), "%s/%s", g->name, file);
    _cleanup_close_ int fd = openat(parent, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open %s of the control group", file);
    int r = write_all(fd, value, strlen(value));
    return r < 0 ? err_set(err, -r, "write %s to %s of the control group: %s", value, file,
                           strerror(-r))
                 : 0;
}

static ssize_t read_in(const struct cgroup_host *h, const struct cgroup_group *g,
                       enum cgroup_kind kind, const char *file, char *out, size_t max)
{
    int parent = h->fd[h->v2[kind] ? CGROUP_UNIFIED : kind];
    char path[96];
    snprintf(path, sizeof(path), "%s/%s", g->name, file);
    _cleanup_close_ int fd = parent < 0 ? -1 : openat(parent, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read_all(fd, out, max - 1);
    out[n > 0 ? n : 0] = '\0';
    return n;
}

static uint64_t read_number(const struct cgroup_host *h, const struct cgroup_group *g,
                            enum cgroup_kind kind, const char *file)
{
    char text[64];
    return read_in(h, g, kind, file, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

/* The number after `key` in a file of "key number" lines. */
static uint64_t read_key(const struct cgroup_host *h, const struct cgroup_group *g,
                         enum cgroup_kind kind, const char *file, const char *key)
{
    char text[2048];
    if (read_in(h, g, kind, file, text, sizeof(text)) <= 0)
        return 0;
    size_t n = strlen(key);
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) == 0 && line[n] == ' ')
            return strtoull(line + n + 1, NULL, 10);
    }
    return 0;
}

static int make_in(struct cgroup_host *h, const struct cgroup_group *g, enum cgroup_kind kind)
{
    /* two kinds may share one hierarchy, mounted together */
    if (mkdirat(h->fd[kind], g->name, 0755) == 0 || errno == EEXIST)
        return 0;
    int r = -errno;
    if (r == -ENOENT && (r = cgroup_host_remake(h, kind)) == 0)
        r = mkdirat(h->fd[kind], g->name, 0755) == 0 || errno == EEXIST ? 0 : -errno;
    return r;
}

static int make_all(struct cgroup_host *h, const struct cgroup_group *g, int first, int end,
                    struct err *err)
{
    for (int i = first; i < end; i++) {
        int r = h->fd[i] < 0 ? 0 : make_in(h, g, i);
        if (r < 0)
            return err_set(err, -r, "make the control group %s/%s: %s", h->name, g->name,
                           strerror(-r));
    }
    return 0;
}

static bool is_taken(const struct cgroup_host *h, const struct cgroup_group *g)
{
    for (int i = CGROUP_UNIFIED; i >= 0; i--)
        if (h->fd[i] >= 0)
            return faccessat(h->fd[i], g->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    return false;
}

int cgroup_create(struct cgroup_host *h, struct cgroup_group *ret, struct err *err)
{
    struct cgroup_group g;
    if (h->single) {
        cgroup_single_name(&g);
        size_t len = strlen(g.name);
        if (h->serial++ > 0) /* that of the sandbox's relay */
            snprintf(g.name + len, sizeof(g.name) - len, "-%u", h->serial - 1);
    } else {
        /* one that is there is a worker's, made by an earlier starter that had our pid */
        do
            snprintf(g.name, sizeof(g.name), "g%d-%u", getpid(), h->serial++);
        while (is_taken(h, &g));
    }
    int r = make_all(h, &g, CGROUP_UNIFIED, CGROUP_HIERARCHIES, err);
    if (r == 0)
        *ret = g;
    return r;
}

int cgroup_unified_fd(const struct cgroup_host *h, const struct cgroup_group *g)
{
    return group_fd(h, g, CGROUP_UNIFIED);
}

int cgroup_count_v1(const struct cgroup_host *h)
{
    int n = 0;
    for (int i = 0; i < CGROUP_UNIFIED; i++)
        n += h->fd[i] >= 0;
    return n;
}

int cgroup_create_v1(struct cgroup_host *h, const struct cgroup_group *g,
                     int joins[CGROUP_HIERARCHIES], struct err *err)
{
    int n = 0, r = make_all(h, g, 0, CGROUP_UNIFIED, err);
    if (r < 0)
        return r;
    char path[96];
    snprintf(path, sizeof(path), "%s/tasks", g->name);
    for (int i = 0; i < CGROUP_UNIFIED; i++) {
        if (h->fd[i] < 0)
            continue;
        int fd = openat(h->fd[i], path, O_WRONLY | O_CLOEXEC);
        if (fd < 0) {
            r = err_errno(err, "open tasks of a v1 control group");
            while (n > 0)
                close(joins[--n]);
            return r;
        }
        joins[n++] = fd;
    }
    return n;
}

int cgroup_batch(const struct cgroup_host *h, const struct cgroup_group *g)
{
    char text[16];
    if (!cgroup_host_has(h, CGROUP_CPU) ||
        read_in(h, g, CGROUP_CPU, "cpu.idle", text, sizeof(text)) <= 0)
        return -1;
    return text[0] == '1';
}

bool cgroup_set_batch(const struct cgroup_host *h, const struct cgroup_group *g, bool batch)
{
    return cgroup_host_has(h, CGROUP_CPU) &&
           write_in(h, g, CGROUP_CPU, "cpu.idle", batch ? "1" : "0", NULL) == 0;
}

uint64_t cgroup_cpu_us(const struct cgroup_host *h, const struct cgroup_group *g)
{
    static const struct cgroup_group all = {"."};
    g = g ? g : &all;
    if (h->fd[CGROUP_CPUACCT] >= 0)
        return read_number(h, g, CGROUP_CPUACCT, "cpuacct.usage") / 1000;
    return read_key(h, g, CGROUP_UNIFIED, "cpu.stat", "usage_usec");
}

uint64_t cgroup_cpu_milli(const struct cgroup_host *h, const struct cgroup_group *g)
{
    const uint64_t period_us = 100000; /* the kernel's default; we set no other */
    char text[64] = "";
    if (!cgroup_host_has(h, CGROUP_CPU))
        return 0;
    (void)read_in(h, g, CGROUP_CPU, h->v2[CGROUP_CPU] ? "cpu.max" : "cpu.cfs_quota_us", text,
                  sizeof(text));
    return text[0] < '0' || text[0] > '9' ? 0 : strtoull(text, NULL, 10) * 1000 / period_us;
}

int cgroup_threads(const struct cgroup_host *h, const struct cgroup_group *g,
                   pid_t out[CGROUP_MAX_THREADS])
{
    bool v2 = h->v2[CGROUP_CPU];
    char path[96];
    snprintf(path, sizeof(path), "%s/%s", g->name, v2 ? "cgroup.threads" : "tasks");
    int fd = openat(h->fd[v2 ? CGROUP_UNIFIED : CGROUP_CPU], path, O_RDONLY | O_CLOEXEC), n = 0;
    _cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    while (f && n < CGROUP_MAX_THREADS && fscanf(f, "%d", &out[n]) == 1)
        n += out[n] > 0;
    return n;
}

/* The hierarchy whose folders carry the marks: the unified one, else the first that there is. */
static int marked_kind(const struct cgroup_host *h)
{
    if (h->fd[CGROUP_UNIFIED] >= 0)
        return CGROUP_UNIFIED;
    for (int i = 0; i < CGROUP_UNIFIED; i++)
        if (h->fd[i] >= 0)
            return i;
    return -1;
}

void cgroup_mark(struct cgroup_host *h, const struct cgroup_group *g, uint64_t worker_id)
{
    int kind = marked_kind(h);
    _cleanup_close_ int fd = kind < 0 ? -1 : openat(h->fd[kind], g->name, O_RDONLY | O_CLOEXEC);
    char id[24];
    int n = snprintf(id, sizeof(id), "%llu", (unsigned long long)worker_id);
    if (fd >= 0)
        (void)fsetxattr(fd, MARK, id, (size_t)n, 0); /* a kernel without them: see cgroup_find */
}

bool cgroup_is_marked(const struct cgroup_host *h, const struct cgroup_group *g)
{
    int kind = marked_kind(h);
    _cleanup_close_ int fd = kind < 0 ? -1 : openat(h->fd[kind], g->name, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fgetxattr(fd, MARK, NULL, 0) > 0;
}

bool cgroup_find(const struct cgroup_host *h, uint64_t worker_id, struct cgroup_group *ret)
{
    int kind = marked_kind(h);
    int copy = kind < 0 ? -1 : openat(h->fd[kind], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        if (e->d_type != DT_DIR || e->d_name[0] != 'g' || strlen(e->d_name) >= sizeof(ret->name))
            continue;
        _cleanup_close_ int fd = openat(h->fd[kind], e->d_name, O_RDONLY | O_CLOEXEC);
        char id[24] = "";
        if (fd < 0 || fgetxattr(fd, MARK, id, sizeof(id) - 1) <= 0 ||
            strtoull(id, NULL, 10) != worker_id)
            continue;
        memcpy(ret->name, e->d_name, strlen(e->d_name) + 1);
        return true;
    }
    return false;
}

/* Kills each pid in the group as the hierarchy of `kind` lists them; how many there were. */
static int kill_listed(const struct cgroup_host *h, const struct cgroup_group *g, int kind)
{
    char text[16384];
    int n = 0;
    if (read_in(h, g, kind, "cgroup.procs", text, sizeof(text)) <= 0)
        return 0;
    for (char *p = text; *p;) {
        char *end;
        long pid = strtol(p, &end, 10);
        if (end == p || *end != '\n') /* cut off: another's number */
            break;
        if (pid > 1) {
            kill((pid_t)pid, SIGKILL);
            n++;
        }
        p = end + 1;
    }
    return n;
}

void cgroup_kill(struct cgroup_host *h, const struct cgroup_group *g)
{
    if (!exists(g))
        return;
    if (h->fd[CGROUP_UNIFIED] >= 0 &&
        write_in(h, g, CGROUP_UNIFIED, "cgroup.kill", "1", NULL) == 0) /* Linux 5.14 */
        return;
    for (int i = 0; i < CGROUP_HIERARCHIES; i++)
        if (h->fd[i] >= 0 && kill_listed(h, g, i) > 0)
            return;
}

void cgroup_stat_refusals(const struct cgroup_host *h, const struct cgroup_group *g,
                          struct cgroup_stat *ret)
{
    if (!exists(g))
        return;
    if (cgroup_host_has(h, CGROUP_MEMORY))
        ret->oom_kills =
            read_key(h, g, CGROUP_MEMORY,
                     h->v2[CGROUP_MEMORY] ? "memory.events" : "memory.oom_control", "oom_kill");
    if (cgroup_host_has(h, CGROUP_PIDS))
        ret->pids_refused = read_key(h, g, CGROUP_PIDS, "pids.events", "max");
    if (cgroup_host_has(h, CGROUP_CPU)) {
        ret->cpu_periods = read_key(h, g, CGROUP_CPU, "cpu.stat", "nr_periods");
        ret->cpu_throttled = read_key(h, g, CGROUP_CPU, "cpu.stat", "nr_throttled");
    }
}

bool cgroup_stat(struct cgroup_host *h, const struct cgroup_group *g, struct cgroup_stat *ret)
{
    if (!exists(g) || !cgroup_host_has(h, CGROUP_MEMORY))
        return false;
    struct cgroup_stat s = {0};
    if (h->v2[CGROUP_MEMORY]) {
        s.memory_bytes = read_number(h, g, CGROUP_MEMORY, "memory.current");
        s.memory_peak_bytes = read_number(h, g, CGROUP_MEMORY, "memory.peak"); /* Linux 5.19 */
    } else {
        s.memory_bytes = read_number(h, g, CGROUP_MEMORY, "memory.usage_in_bytes");
        s.memory_peak_bytes = read_number(h, g, CGROUP_MEMORY, "memory.max_usage_in_bytes");
    }
    s.cpu_us = cgroup_cpu_us(h, g);
    s.pids = (uint32_t)read_number(h, g, CGROUP_PIDS, "pids.current");
    cgroup_stat_refusals(h, g, &s);
    *ret = s;
    return true;
}

int cgroup_remove_empty(struct cgroup_host *h, const struct cgroup_group *g)
{
    int left = 0;
    for (int i = 0; exists(g) && i < CGROUP_HIERARCHIES; i++)
        if (h->fd[i] >= 0 && unlinkat(h->fd[i], g->name, AT_REMOVEDIR) < 0 && errno == EBUSY)
            left++;
    return left ? -EBUSY : 0;
}

int cgroup_remove(struct cgroup_host *h, const struct cgroup_group *g)
{
    for (int try = 0; try < REMOVE_TRIES; try++) {
        if (cgroup_remove_empty(h, g) == 0)
            return 0;
        /* what was killed takes a moment to leave */
        cgroup_kill(h, g);
        poll(NULL, 0, try < 10 ? 1 : 10);
    }
    return -EBUSY;
}
