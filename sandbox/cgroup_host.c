/* Which hierarchies this machine offers to us: cgroup.h. */
#include "cgroup.h"

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

static const char *const kind_names[] = {"memory", "pids", "cpu", "cpuacct", ""};

/* Is `word` an element of the comma-separated `list`? */
static bool list_has(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ',') && (p[n] == ',' || p[n] == '\0' || p[n] == '\n'))
            return true;
    return false;
}

/* Our own group's path in the hierarchy of `kind`, from /proc/self/cgroup ("4:memory:/a/b"). */
static int own_path(enum cgroup_kind kind, char out[PATH_MAX])
{
    _cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f)
        return -errno;
    char line[PATH_MAX + 256];
    while (fgets(line, sizeof(line), f)) {
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path)
            continue;
        *list++ = *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        bool unified = strcmp(line, "0") == 0;
        if (kind == CGROUP_UNIFIED ? unified : !unified && list_has(list, kind_names[kind])) {
            snprintf(out, PATH_MAX, "%.*s", PATH_MAX - 1, path);
            return 0;
        }
    }
    return -ENOENT;
}

/* Where the hierarchy of `kind` is mounted, and which group of it is the mount's root. */
static int mount_point(enum cgroup_kind kind, char root[PATH_MAX], char point[PATH_MAX])
{
    _cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
    if (!f)
        return -errno;
    char line[3 * PATH_MAX], type[64], options[512];
    while (fgets(line, sizeof(line), f)) {
        char *dash = strstr(line, " - ");
        if (!dash || sscanf(dash, " - %63s %*s %511s", type, options) != 2 ||
            sscanf(line, "%*s %*s %*s %4095s %4095s", root, point) != 2)
            continue;
        if (kind == CGROUP_UNIFIED
                ? strcmp(type, "cgroup2") == 0
                : strcmp(type, "cgroup") == 0 && list_has(options, kind_names[kind]))
            return 0;
    }
    return -ENOENT;
}

static int open_dir(int dirfd, const char *path)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

/* Our own group's folder in that hierarchy. `top`: the hierarchy's topmost one that we see. */
static int open_own(enum cgroup_kind kind, bool top)
{
    char own[PATH_MAX], root[PATH_MAX], point[PATH_MAX], path[2 * PATH_MAX];
    if (own_path(kind, own) < 0 || mount_point(kind, root, point) < 0)
        return -ENOENT;
    if (top)
        return open_dir(AT_FDCWD, point);
    const char *rest = own;
    size_t n = strlen(root);
    if (strcmp(root, "/") != 0)
        rest = strncmp(own, root, n) == 0 && (own[n] == '/' || !own[n]) ? own + n : "";
    snprintf(path, sizeof(path), "%s%s", point, rest);
    return open_dir(AT_FDCWD, path);
}

static bool file_has(int dirfd, const char *name, const char *word)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    char text[512];
    ssize_t n = fd < 0 ? -1 : read_all(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    for (char *p = text; *p; p++)
        if (*p == ' ')
            *p = ',';
    return list_has(text, word);
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

/* Hands memory, pids and cpu of the unified hierarchy down to what is made in `fd`. */
static void hand_down(int fd, bool got[CGROUP_HIERARCHIES])
{
    static const enum cgroup_kind kinds[] = {CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU};
    for (size_t i = 0; i < 3; i++) {
        char word[32];
        snprintf(word, sizeof(word), "+%s", kind_names[kinds[i]]);
        got[kinds[i]] = file_has(fd, "cgroup.subtree_control", word + 1) ||
                        (file_has(fd, "cgroup.controllers", word + 1) &&
                         write_at(fd, "cgroup.subtree_control", word) == 0);
    }
    got[CGROUP_CPUACCT] = true; /* cpu.stat is there without a controller */
}

static bool offers_controllers(int fd)
{
    return file_has(fd, "cgroup.controllers", "memory") ||
           file_has(fd, "cgroup.controllers", "pids");
}

/* The folder of the unified hierarchy that our groups go into. Where it has controllers: our own
 * group if it was delegated to us; for root without delegation the top, as container engines do.
 * Without controllers our own group will do. */
static int open_unified_base(void)
{
    int own = open_own(CGROUP_UNIFIED, false);
    if (own < 0 || !offers_controllers(own)) {
        int top = geteuid() == 0 ? open_own(CGROUP_UNIFIED, true) : -1;
        if (top >= 0 && offers_controllers(top)) {
            close_fd(&own);
            return top;
        }
        close_fd(&top);
        return own;
    }
    if (is_delegated(own)) {
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
    int top = geteuid() == 0 ? open_own(CGROUP_UNIFIED, true) : -1;
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

static int make_folder(struct cgroup_host *h, enum cgroup_kind kind, int base)
{
    if (mkdirat(base, h->name, 0755) < 0 && errno != EEXIST)
        return -errno;
    int fd = open_dir(base, h->name);
    if (fd < 0)
        return fd;
    h->base_fd[kind] = base;
    h->fd[kind] = fd;
    return 0;
}

int cgroup_host_open(struct cgroup_host *h, const char *instance, struct err *err)
{
    *h = (struct cgroup_host){0};
    snprintf(h->name, sizeof(h->name), "vitrine-%.60s", instance);
    for (int i = 0; i < CGROUP_HIERARCHIES; i++)
        h->base_fd[i] = h->fd[i] = -1;

    int n = 0, base = open_unified_base();
    if (base >= 0) {
        bool got[CGROUP_HIERARCHIES] = {0}, below[CGROUP_HIERARCHIES] = {0};
        hand_down(base, got);
        if (make_folder(h, CGROUP_UNIFIED, base) < 0) {
            close(base);
        } else {
            n++;
            hand_down(h->fd[CGROUP_UNIFIED], below);
            for (int i = 0; i < CGROUP_UNIFIED; i++)
                h->v2[i] = got[i] && below[i];
        }
    }
    for (int i = 0; i < CGROUP_UNIFIED; i++) {
        if (h->v2[i])
            continue;
        base = open_own(i, false);
        if (base < 0 || make_folder(h, i, base) < 0)
            close_fd(&base);
        else
            n++;
    }
    if (n == 0)
        return err_set(err, ENOTSUP,
                       "no control group is ours to use; start with systemd-run --user --scope -p "
                       "Delegate=yes, or as a service with Delegate=yes, or as root");
    cgroup_host_sweep(h);
    return 0;
}

void cgroup_host_close(struct cgroup_host *h)
{
    for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
        close_fd(&h->fd[i]);
        if (h->base_fd[i] >= 0)
            (void)unlinkat(h->base_fd[i], h->name, AT_REMOVEDIR); /* fails while workers live on */
        close_fd(&h->base_fd[i]);
    }
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
            at +=
                (size_t)snprintf(out + at, len - at, "%s%s", at ? ", " : "", kind_names[kinds[i]]);
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

void cgroup_own_instance(char out[48])
{
    snprintf(out, 48, "run-%d-%lu", getpid(), pid_namespace());
}

/* What a process that made sandboxes for itself left when it was killed. */
static void remove_of_dead_runs(int base_fd)
{
    unsigned long own_namespace = pid_namespace();
    int copy = openat(base_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d)
        return;
    struct dirent *e;
    while ((e = readdir(d))) {
        int pid;
        unsigned long namespace;
        if (sscanf(e->d_name, "vitrine-run-%d-%lu", &pid, &namespace) != 2 ||
            namespace != own_namespace || !is_gone(pid))
            continue;
        int fd = openat(base_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
            remove_empty(fd);
        close_fd(&fd);
        (void)unlinkat(base_fd, e->d_name, AT_REMOVEDIR);
    }
}

void cgroup_host_sweep(struct cgroup_host *h)
{
    for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
        if (h->fd[i] < 0)
            continue;
        remove_empty(h->fd[i]);
        remove_of_dead_runs(h->base_fd[i]);
    }
}
