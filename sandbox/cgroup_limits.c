/* The limits of one sandbox's group, set and read back: cgroup.h. */
#include "cgroup.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CPU_PERIOD_US 100000

/* One group's files, and the limits that the kernel did not show as they were asked for. */
struct setting {
    const struct cgroup_host *h;
    const struct cgroup_group *g;
    char *unconfirmed; /* 64 bytes */
};

static void doubt(struct setting *s, const char *what)
{
    size_t len = strlen(s->unconfirmed);
    snprintf(s->unconfirmed + len, 64 - len, "%s%s", len ? ", " : "", what);
}

/* Writes `value` and reads what is there then, as one line: 0 or a negative errno. */
static int put(const struct setting *s, enum cgroup_kind kind, const char *file, const char *value,
               char seen[64], struct err *err)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/%s", s->g->name, file);
    int parent = s->h->fd[s->h->v2[kind] ? CGROUP_UNIFIED : kind];
    _cleanup_close_ int fd = openat(parent, path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open %s of the control group", file);
    int r = write_all(fd, value, strlen(value));
    if (r < 0)
        return err_set(err, -r, "write %s to %s of the control group: %s", value, file,
                       strerror(-r));
    ssize_t n = pread(fd, seen, 63, 0);
    seen[n > 0 ? n : 0] = '\0';
    seen[strcspn(seen, "\n")] = '\0';
    return 0;
}

/* The kernel counts memory in pages, and shows what is beyond its counter as "max" or the most. */
static bool is_memory(const char *seen, uint64_t bytes)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), most = (uint64_t)INT64_MAX / page * page;
    if (strcmp(seen, "max") == 0)
        return bytes >= most;
    uint64_t v = strtoull(seen, NULL, 10);
    return *seen >= '0' && *seen <= '9' &&
           (v == bytes / page * page || (v >= most && bytes >= most));
}

static int limit_memory(struct setting *s, uint64_t bytes, struct err *err)
{
    bool v2 = s->h->v2[CGROUP_MEMORY];
    char value[32], seen[64];
    snprintf(value, sizeof(value), "%llu", (unsigned long long)bytes);
    int r = put(s, CGROUP_MEMORY, v2 ? "memory.max" : "memory.limit_in_bytes", value, seen, err);
    if (r < 0)
        return r;
    if (!is_memory(seen, bytes))
        doubt(s, "memory");
    /* The files of swap are there only where swap is accounted; `check` has a line for the others.
     * v1 knows memory and swap together only. */
    const char *file = v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
    r = put(s, CGROUP_MEMORY, file, v2 ? "0" : value, seen, NULL);
    if (r != -ENOENT && (r < 0 || (v2 ? strcmp(seen, "0") != 0 : !is_memory(seen, bytes))))
        doubt(s, "swap");
    return 0;
}

/* v1 counts it by itself, and not at all where it has no limit. */
static void limit_connections(struct setting *s, uint64_t bytes)
{
    char value[32], seen[64];
    snprintf(value, sizeof(value), "%llu", (unsigned long long)bytes);
    int r = put(s, CGROUP_MEMORY, "memory.kmem.tcp.limit_in_bytes", value, seen, NULL);
    if (r != -ENOENT && (r < 0 || !is_memory(seen, bytes)))
        doubt(s, "memory of connections");
}

static int limit_pids(struct setting *s, uint32_t pids, struct err *err)
{
    char value[32], seen[64];
    snprintf(value, sizeof(value), "%u", pids);
    int r = put(s, CGROUP_PIDS, "pids.max", value, seen, err);
    if (r == 0 && strcmp(value, seen) != 0)
        doubt(s, "pids");
    return r;
}

static int limit_cpu(struct setting *s, uint64_t milli, struct err *err)
{
    bool v2 = s->h->v2[CGROUP_CPU];
    unsigned long long quota = milli * CPU_PERIOD_US / 1000;
    char value[64], seen[64];
    if (v2)
        snprintf(value, sizeof(value), "%llu %d", quota, CPU_PERIOD_US);
    else /* the period of a new group is the same */
        snprintf(value, sizeof(value), "%llu", quota);
    int r = put(s, CGROUP_CPU, v2 ? "cpu.max" : "cpu.cfs_quota_us", value, seen, err);
    if (r == 0 && strcmp(value, seen) != 0)
        doubt(s, "cpu");
    return r;
}

/* Each scheduler has a file of its own, which shows "100" or "default 100", and which of them is in
 * use can change at any time: every one that there is gets the weight. */
static void weigh_io(struct setting *s, uint32_t weight)
{
    static const char *const v2_files[] = {"io.bfq.weight", "io.weight", NULL};
    static const char *const v1_files[] = {"blkio.bfq.weight", "blkio.weight", NULL};
    bool any = false, wrong = false;
    char value[32], seen[64];
    snprintf(value, sizeof(value), "%u", weight);
    for (const char *const *f = s->h->v2[CGROUP_IO] ? v2_files : v1_files; *f; f++) {
        int r = put(s, CGROUP_IO, *f, value, seen, NULL);
        if (r == -ENOENT)
            continue;
        any = true;
        const char *number = strrchr(seen, ' ');
        wrong |= r < 0 || strcmp(number ? number + 1 : seen, value) != 0;
    }
    if (!any || wrong)
        doubt(s, "io weight");
}

int cgroup_set_limits(struct cgroup_host *h, const struct cgroup_group *g,
                      const struct cgroup_limits *limits, char unconfirmed[64], struct err *err)
{
    struct setting s = {h, g, unconfirmed};
    unconfirmed[0] = '\0';
    int r = 0;
    if (limits->memory_bytes && cgroup_host_has(h, CGROUP_MEMORY))
        r = limit_memory(&s, limits->memory_bytes, err);
    if (r == 0 && limits->connections_bytes && cgroup_host_has(h, CGROUP_MEMORY) &&
        !h->v2[CGROUP_MEMORY])
        limit_connections(&s, limits->connections_bytes);
    if (r == 0 && limits->pids && cgroup_host_has(h, CGROUP_PIDS))
        r = limit_pids(&s, limits->pids, err);
    if (r == 0 && limits->cpu_milli && cgroup_host_has(h, CGROUP_CPU))
        r = limit_cpu(&s, limits->cpu_milli, err);
    if (r == 0 && limits->io_weight && cgroup_host_has(h, CGROUP_IO))
        weigh_io(&s, limits->io_weight);
    return r;
}
