/* Which hierarchies this machine offers to us: cgroup.h. */
#include "cgroup.h"

#include "cgroup_places.h"
#include "common/cleanup.h"
#include "common/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *const v2_names[] = {"memory", "pids", "cpu", "", "io", ""};

static int open_dir(int dirfd, const char *path)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

/* The controllers that a file names, as a list for list_has; "" where there are none. */
static void read_controllers(int dirfd, const char *name, char out[512])
{
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read_all(fd, out, 511);
    out[n > 0 ? n : 0] = '\0';
    for (char *p = out; *p; p++)
        if (*p == ' ')
            *p = ',';
}

static int write_at(int dirfd, const char *name, const char *value)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : write_all(fd, value, strlen(value));
}

/* systemd marks what it has delegated. */
static bool is_delegated(int fd)
{
    char v[2] = "";
    return (fgetxattr(fd, "user.delegate", v, 1) == 1 ||
            fgetxattr(fd, "trusted.delegate", v, 1) == 1) &&
           v[0] == '1';
}

/* The top of a cgroup namespace that is not the machine's: what a container engine gave to us. Only
 * the machine's own top has no type. */
static bool is_namespace_top(const struct cgroup_places *p, int fd)
{
    return strcmp(p->own[CGROUP_UNIFIED], "/") == 0 && faccessat(fd, "cgroup.type", F_OK, 0) == 0;
}

/* A group with processes in it cannot hand controllers down: ours, and those of `up` beside us,
 * move into a leaf of it. Only where the group was delegated to us. */
static int move_into_leaf(int fd)
{
    if (mkdirat(fd, "vitrine-main", 0755) < 0 && errno != EEXIST)
        return -errno;
    for (int round = 0; round < 10; round++) {
        int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        _cleanup_fclose_ FILE *f = procs < 0 ? NULL : fdopen(procs, "r");
        if (!f)
            return -errno;
        int pid, n = 0;
        char text[16];
        while (fscanf(f, "%d", &pid) == 1) {
            snprintf(text, sizeof(text), "%d", pid);
            if (write_at(fd, "vitrine-main/cgroup.procs", text) == 0)
                n++;
        }
        if (n == 0)
            return 0;
    }
    return -EBUSY;
}

static bool offers_controllers(const char *list)
{
    return cgroup_list_has(list, "memory") || cgroup_list_has(list, "pids") ||
           cgroup_list_has(list, "cpu");
}

static bool folder_offers_controllers(int fd)
{
    char list[512];
    read_controllers(fd, "cgroup.controllers", list);
    return offers_controllers(list);
}

/* Hands memory, pids, cpu and io of the unified hierarchy down to what is made in `fd`. */
static void hand_down(int fd, bool got[CGROUP_HIERARCHIES])
{
    static const enum cgroup_kind kinds[] = {CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, CGROUP_IO};
    char offered[512], handed[512] = "";
    read_controllers(fd, "cgroup.controllers", offered);
    bool any = offers_controllers(offered);
    if (any)
        read_controllers(fd, "cgroup.subtree_control", handed);
    for (size_t i = 0; any && i < sizeof(kinds) / sizeof(*kinds); i++) {
        char word[32];
        snprintf(word, sizeof(word), "+%s", v2_names[kinds[i]]);
        got[kinds[i]] = cgroup_list_has(handed, word + 1) ||
                        (cgroup_list_has(offered, word + 1) &&
                         write_at(fd, "cgroup.subtree_control", word) == 0);
    }
    got[CGROUP_CPUACCT] = true; /* cpu.stat is there without a controller */
}

/* The folder of the unified hierarchy that our groups go into. Where it has controllers: our own
 * group if it was delegated to us; for root without delegation the top, as container engines do.
 * Without controllers our own group will do. */
static int open_unified_base(const struct cgroup_places *p)
{
    int own = cgroup_places_open(p, CGROUP_UNIFIED, false);
    if (own < 0 || !folder_offers_controllers(own)) {
        int top = geteuid() == 0 ? cgroup_places_open(p, CGROUP_UNIFIED, true) : -1;
        if (top >= 0 && folder_offers_controllers(top)) {
            close_fd(&own);
            return top;
        }
        close_fd(&top);
        return own;
    }
    if (is_delegated(own) || is_namespace_top(p, own)) {
        (void)move_into_leaf(own);
        return own;
    }
    /* `up` may itself be in the leaf of a delegated group (systemd's DelegateSubgroup=) */
    int parent = openat(own, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0 && is_delegated(parent)) {
        close(own);
        return parent;
    }
    close_fd(&parent);
    int top = geteuid() == 0 ? cgroup_places_open(p, CGROUP_UNIFIED, true) : -1;
    if (top >= 0) {
        close(own);
        return top;
    }
    return own;
}

int cgroup_host_remake(struct cgroup_host *h, enum cgroup_kind kind)
{
    if (mkdirat(h->base_fd[kind], h->name, 0755) < 0 && errno != EEXIST)
        return -errno;
    int fd = open_dir(h->base_fd[kind], h->name);
    if (fd < 0)
        return fd;
    close_fd(&h->fd[kind]);
    h->fd[kind] = fd;
    if (kind == CGROUP_UNIFIED) {
        bool got[CGROUP_HIERARCHIES];
        hand_down(fd, got);
    }
    return 0;
}

/* Takes `base` over where that works. A process that makes one sandbox makes no folder, only the
 * group: each of the two costs as much as the rest of a control group's life. */
static int make_folder(struct cgroup_host *h, enum cgroup_kind kind, int base)
{
    if (h->single) {
        if (faccessat(base, ".", W_OK, AT_EACCESS) < 0)
            return -errno;
        h->fd[kind] = base;
        return 0;
    }
    if (mkdirat(base, h->name, 0755) < 0 && errno != EEXIST)
        return -errno;
    int fd = open_dir(base, h->name);
    if (fd < 0)
        return fd;
    h->base_fd[kind] = base;
    h->fd[kind] = fd;
    return 0;
}

int cgroup_host_open(struct cgroup_host *h, const char *instance, bool weigh_io, struct err *err)
{
    *h = (struct cgroup_host){0};
    h->single = instance == NULL;
    snprintf(h->name, sizeof(h->name), "vitrine-%.60s", h->single ? "run" : instance);
    for (int i = 0; i < CGROUP_HIERARCHIES; i++)
        h->base_fd[i] = h->fd[i] = -1;

    const struct cgroup_places *p = cgroup_places_find();
    int n = 0, base = open_unified_base(p);
    if (base >= 0) {
        bool got[CGROUP_HIERARCHIES] = {0}, below[CGROUP_HIERARCHIES] = {0};
        hand_down(base, got);
        if (make_folder(h, CGROUP_UNIFIED, base) < 0) {
            close(base);
        } else {
            n++;
            if (h->single)
                memcpy(below, got, sizeof(below));
            else
                hand_down(h->fd[CGROUP_UNIFIED], below);
            for (int i = 0; i < CGROUP_UNIFIED; i++)
                h->v2[i] = got[i] && below[i];
        }
    }
    for (int i = 0; i < CGROUP_UNIFIED; i++) {
        if (h->v2[i] || (i == CGROUP_IO && !(weigh_io && cgroup_io_is_weighed())))
            continue;
        base = cgroup_places_open(p, i, false);
        if (base < 0 || make_folder(h, i, base) < 0)
            close_fd(&base);
        else
            n++;
    }
    if (n == 0)
        return err_set(err, ENOTSUP,
                       "no control group is ours to use; start with systemd-run --user --scope -p "
                       "Delegate=yes, or as a service with Delegate=yes, or as root");
    if (!h->single) /* one sandbox by itself does that when nobody waits for it any more */
        cgroup_host_sweep(h);
    return 0;
}

void cgroup_host_close(struct cgroup_host *h)
{
    if (h->single)
        cgroup_host_sweep(h);
    for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
        close_fd(&h->fd[i]);
        if (h->base_fd[i] >= 0)
            (void)unlinkat(h->base_fd[i], h->name, AT_REMOVEDIR); /* fails while workers live on */
        close_fd(&h->base_fd[i]);
    }
}

/* "none [mq-deadline] bfq": the one in brackets is in use. */
static bool uses_bfq(int block_fd, const char *disk)
{
    char path[NAME_MAX + 32], text[256];
    snprintf(path, sizeof(path), "%s/queue/scheduler", disk);
    _cleanup_close_ int fd = openat(block_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read_all(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, "[bfq]") != NULL;
}

bool cgroup_io_is_weighed(void)
{
    _cleanup_closedir_ DIR *d = opendir("/sys/block");
    struct dirent *e;
    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.' && uses_bfq(dirfd(d), e->d_name))
            return true;
    /* "8:0 enable=1 ..." a line for each disk on which the kernel's cost model runs */
    char text[4096];
    return file_read_small("/sys/fs/cgroup/io.cost.qos", text, sizeof(text)) > 0 &&
           strstr(text, "enable=1");
}

bool cgroup_host_has(const struct cgroup_host *h, enum cgroup_kind kind)
{
    return h->v2[kind] || h->fd[kind] >= 0;
}

void cgroup_host_missing(const struct cgroup_host *h, char *out, size_t len)
{
    static const enum cgroup_kind kinds[] = {CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU};
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < 3; i++)
        if (!cgroup_host_has(h, kinds[i]) && at < len)
            at += (size_t)snprintf(out + at, len - at, "%s%s", at ? ", " : "",
                                   cgroup_kind_name(kinds[i]));
}

static bool is_gone(int pid)
{
    return kill(pid, 0) < 0 && errno == ESRCH;
}

/* Removes the empty groups in `fd` (rmdir refuses the others), but for those that another live
 * process has just made and not filled yet: their names carry its pid. */
static void remove_empty(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d)
        return;
    struct dirent *e;
    int pid;
    while ((e = readdir(d)))
        if (sscanf(e->d_name, "g%d-", &pid) == 1 && (pid == getpid() || is_gone(pid)))
            (void)unlinkat(fd, e->d_name, AT_REMOVEDIR);
}

/* Pids mean something in their own pid namespace only, so the name says which that is. */
static unsigned long pid_namespace(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? (unsigned long)st.st_ino : 0;
}

void cgroup_single_name(struct cgroup_group *g)
{
    snprintf(g->name, sizeof(g->name), "vitrine-run-%d-%lu", getpid(), pid_namespace());
}

/* What a process that made sandboxes for itself left when it was killed. */
static bool remove_of_dead_runs(int base_fd)
{
    bool found = false;
    unsigned long own_namespace = pid_namespace();
    int copy = openat(base_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d)
        return false;
    struct dirent *e;
    while ((e = readdir(d))) {
        int pid;
        unsigned long namespace;
        if (sscanf(e->d_name, "vitrine-run-%d-%lu", &pid, &namespace) == 2 &&
            namespace == own_namespace && is_gone(pid)) {
            (void)unlinkat(base_fd, e->d_name, AT_REMOVEDIR);
            found = true;
        }
    }
    return found;
}

void cgroup_host_sweep(struct cgroup_host *h)
{
    bool dead_runs = true; /* who left nothing in the first hierarchy left nothing */
    for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
        if (h->fd[i] < 0)
            continue;
        if (!h->single)
            remove_empty(h->fd[i]);
        dead_runs = dead_runs && remove_of_dead_runs(h->single ? h->fd[i] : h->base_fd[i]);
    }
}
