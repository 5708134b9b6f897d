/* Where the hierarchies are, and our own group in each: cgroup_places.h. */
#include "cgroup_places.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 256 /* of groups in one another */

static const char *const kind_names[] = {"memory", "pids", "cpu", "cpuacct", "blkio", ""};

const char *cgroup_kind_name(enum cgroup_kind kind)
{
    return kind_names[kind];
}

bool cgroup_list_has(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ',') && (p[n] == ',' || p[n] == '\0' || p[n] == '\n'))
            return true;
    return false;
}

/* /proc/self/cgroup: "4:memory:/a/b". */
static void read_own_paths(struct cgroup_places *p)
{
    _cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX + 256];
    while (f && fgets(line, sizeof(line), f)) {
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path)
            continue;
        *list++ = *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        bool unified = strcmp(line, "0") == 0;
        for (int i = 0; i < CGROUP_HIERARCHIES; i++)
            if (i == CGROUP_UNIFIED ? unified : !unified && cgroup_list_has(list, kind_names[i]))
                snprintf(p->own[i], PATH_MAX, "%.*s", PATH_MAX - 1, path);
    }
}

/* Where the hierarchies are mounted first, and which group is the mount's root. */
static void read_mount_points(struct cgroup_places *p)
{
    _cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[3 * PATH_MAX], type[64], options[512];
    while (f && fgets(line, sizeof(line), f)) {
        char *dash = strstr(line, " - cgroup");
        if (!dash || sscanf(dash, " - %63s %*s %511s", type, options) != 2)
            continue;
        for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
            bool here = i == CGROUP_UNIFIED ? strcmp(type, "cgroup2") == 0
                                            : strcmp(type, "cgroup") == 0 &&
                                                  cgroup_list_has(options, kind_names[i]);
            if (here && !p->point[i][0] &&
                sscanf(line, "%*s %*s %*s %4095s %4095s", p->root[i], p->point[i]) != 2)
                p->point[i][0] = '\0';
        }
    }
}

const struct cgroup_places *cgroup_places_find(void)
{
    static struct cgroup_places p;
    for (int i = 0; i < CGROUP_HIERARCHIES; i++) /* touching all of it would take longer */
        p.own[i][0] = p.root[i][0] = p.point[i][0] = '\0';
    read_own_paths(&p);
    read_mount_points(&p);
    return &p;
}

static int open_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

int cgroup_places_open(const struct cgroup_places *p, enum cgroup_kind kind, bool top)
{
    const char *own = p->own[kind], *root = p->root[kind], *point = p->point[kind];
    char path[2 * PATH_MAX];
    if (!own[0] || !point[0])
        return -ENOENT;
    if (top)
        return open_folder(point);
    const char *rest = own;
    size_t n = strlen(root);
    if (strcmp(root, "/") != 0)
        rest = strncmp(own, root, n) == 0 && (own[n] == '/' || !own[n]) ? own + n : "";
    snprintf(path, sizeof(path), "%s%s", point, rest);
    return open_folder(path);
}

/* ---- what they leave us of the CPUs, in thousandths of one ---- */

static bool read_at(int dirfd, const char *name, char *out, size_t len)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read_all(fd, out, len - 1);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* One group's: "150000 100000" or "max 100000"; of v1 two files, and -1. 0: no limit. */
static uint64_t quota_milli(int dirfd, bool v2)
{
    char text[64], period[32];
    unsigned long long quota_us, period_us;
    if (v2)
        return read_at(dirfd, "cpu.max", text, sizeof(text)) &&
                       sscanf(text, "%llu %llu", &quota_us, &period_us) == 2 && period_us
                   ? quota_us * 1000 / period_us
                   : 0;
    if (!read_at(dirfd, "cpu.cfs_quota_us", text, sizeof(text)) || text[0] == '-' ||
        !read_at(dirfd, "cpu.cfs_period_us", period, sizeof(period)))
        return 0;
    quota_us = strtoull(text, NULL, 10);
    period_us = strtoull(period, NULL, 10);
    return period_us ? quota_us * 1000 / period_us : 0;
}

static bool is_same(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) < 0 || fstat(b, &y) < 0 || (x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* Of our own group and those that it lies in: each holds for all below it. */
static uint64_t least_milli(const struct cgroup_places *p, enum cgroup_kind kind)
{
    _cleanup_close_ int top = cgroup_places_open(p, kind, true);
    _cleanup_close_ int fd = cgroup_places_open(p, kind, false);
    uint64_t least = 0;
    for (int depth = 0; top >= 0 && fd >= 0 && depth < DEPTH_MAX; depth++) {
        uint64_t milli = quota_milli(fd, kind == CGROUP_UNIFIED);
        if (milli && (!least || milli < least))
            least = milli;
        if (is_same(fd, top))
            break;
        int up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close_fd(&fd);
        fd = up;
    }
    return least;
}

unsigned cgroup_places_cpus(const struct cgroup_places *p)
{
    uint64_t v1 = least_milli(p, CGROUP_CPU), v2 = least_milli(p, CGROUP_UNIFIED);
    uint64_t cpus = ((!v1 || (v2 && v2 < v1) ? v2 : v1) + 999) / 1000;
    return cpus < UINT_MAX ? (unsigned)cpus : 0;
}
