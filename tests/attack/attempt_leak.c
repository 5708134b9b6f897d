/* What could be learned of the host, of the platform, of a neighbour. */
#include "tests/attack/attempt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static size_t slurp(const char *path, char *data, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t len = 0;
    ssize_t n;
    while (fd >= 0 && len < size - 1 && (n = read(fd, data + len, size - 1 - len)) > 0)
        len += (size_t)n;
    if (fd >= 0)
        close(fd);
    data[len] = 0;
    return len;
}

static char text[1 << 20];

/* The victim's, the neighbour's and PID 1's files in /proc, wherever they are seen. */
static bool token_of_any(const struct attempt *a)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    bool found = false;
    while (d && !found && (e = readdir(d))) {
        char path[400];
        snprintf(path, sizeof(path), "/proc/%s/%s", e->d_name, a->path);
        found = e->d_name[0] >= '0' && e->d_name[0] <= '9' && file_has_token(path);
    }
    if (d)
        closedir(d);
    return found;
}

static bool not_empty(const struct attempt *a)
{
    return slurp(a->path, text, sizeof(text)) > 0;
}

static bool lists_something(const struct attempt *a)
{
    DIR *d = opendir(a->path);
    struct dirent *e;
    int n = 0;
    while (d && (e = readdir(d)))
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n > 0;
}

/* A line with an address that is not zero. */
static bool kernel_addresses(const struct attempt *a)
{
    slurp(a->path, text, sizeof(text));
    for (char *at = strstr(text, "ffff"); at; at = strstr(at + 1, "ffff"))
        if (strspn(at, "0123456789abcdef") == 16)
            return true;
    return false;
}

static bool physical_memory_map(const struct attempt *a)
{
    slurp(a->path, text, sizeof(text));
    return strstr(text, "System RAM") && !strstr(text, "00000000-00000000 : System RAM");
}

static bool word_in(const struct attempt *a, const char *word)
{
    slurp(a->path, text, sizeof(text));
    return *word && strstr(text, word) != NULL;
}

static bool canary_named_in(const struct attempt *a)
{
    static const char *const names[] = {"SOCKET_INODE", "LOCK_INODE",     "OFD_INODE", "PORT_HEX",
                                        "SHM_KEY",      "NEIGHBOUR_MARK", "KEY_HEX"};
    return word_in(a, canary(names[a->n]));
}

static bool kernel_log(const struct attempt *a)
{
    return syscall(SYS_syslog, (int)a->n, text, sizeof(text)) > 0;
}

static bool host_name(const struct attempt *a)
{
    slurp("/proc/sys/kernel/hostname", text, sizeof(text));
    text[strcspn(text, "\n")] = 0;
    return *canary("HOSTNAME") && strcmp(text, canary(a->path)) == 0;
}

static bool init_file(const struct attempt *a)
{
    return slurp(a->path, text, sizeof(text)) > 0 && strspn(text, "0\n ") < strlen(text);
}

static bool init_link(const struct attempt *a)
{
    return readlink(a->path, text, sizeof(text)) > 0;
}

/* Several processes that are none of ours. */
static bool sees_processes(const struct attempt *a)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%ld/status", canary_number(a->path));
    slurp(path, text, sizeof(text));
    return strstr(text, "Name:\tattempts") != NULL && (pid_t)canary_number(a->path) != getpid();
}

static const char *shared(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", canary("RO"), name);
    return path;
}

/* A neighbour opens a file again and again that is mounted in both sandboxes. */
static bool watch_neighbour(const struct attempt *a)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0 || inotify_add_watch(fd, shared(a->path), IN_OPEN | IN_ACCESS | IN_CLOSE) < 0)
        return false;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 1500) > 0;
}

/* The same by a signal (dnotify). */
static bool notify_of_neighbour(const struct attempt *a)
{
    (void)a;
    int fd = open(canary("RO"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    signal(SIGIO, SIG_IGN);
    return fd >= 0 && fcntl(fd, F_NOTIFY, DN_ACCESS | DN_MODIFY | DN_MULTISHOT) == 0;
}

/* ... and holds a lock on one: whoever sees it can be told something by it. */
static bool see_lock(const struct attempt *a)
{
    int fd = open(shared("locked"), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (a->n)
        return flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET}; /* asked about, not taken */
    return fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

/* Which pages of a file that a neighbour uses are in memory. */
static bool page_cache(const struct attempt *a)
{
    int fd = open(shared("hot"), O_RDONLY | O_CLOEXEC);
    int cold_fd = open(shared("cold"), O_RDONLY | O_CLOEXEC);
    unsigned char hot[16], cold[16];
    if (fd < 0 || cold_fd < 0)
        return false;
    if (a->n == SYS_mincore) {
        void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        void *q = mmap(NULL, 4096, PROT_READ, MAP_SHARED, cold_fd, 0);
        return p != MAP_FAILED && q != MAP_FAILED && mincore(p, 4096, hot) == 0 &&
               mincore(q, 4096, cold) == 0 && hot[0] != cold[0];
    }
    struct {
        uint64_t offset, len;
    } range = {0, 4096};
    uint64_t stat[5];
    return syscall(451 /* cachestat */, fd, &range, stat, 0) == 0;
}

static const struct attempt list[] = {
    {"cmdline-of-any-process", token_of_any, "cmdline", 0},
    {"environment-of-any-process", token_of_any, "environ", 0},
    {"descriptors-of-any-process", token_of_any, "fd/0", 0},
    {"exe-and-maps-of-init", init_file, "/proc/1/maps", 0},
    {"environment-of-init", init_file, "/proc/1/environ", 0},
    {"cmdline-of-init", init_file, "/proc/1/cmdline", 0},
    {"mounts-of-init", init_file, "/proc/1/mountinfo", 0},
    {"stack-of-init", init_file, "/proc/1/stack", 0},
    {"memory-of-init", not_empty, "/proc/1/mem", 0},
    {"auxv-of-init", not_empty, "/proc/1/auxv", 0},
    {"exe-link-of-init", init_link, "/proc/1/exe", 0},
    {"root-link-of-init", init_link, "/proc/1/root", 0},
    {"descriptors-of-init", lists_something, "/proc/1/fd", 0},
    {"see-victim", sees_processes, "VICTIM_PID", 0},
    {"see-neighbour", sees_processes, "NEIGHBOUR_PID", 0},
    {"kernel-command-line", not_empty, "/proc/cmdline", 0},
    {"kernel-log", kernel_log, NULL, 3},
    {"kernel-log-size", kernel_log, NULL, 10},
    {"proc-kmsg", not_empty, "/proc/kmsg", 0},
    {"proc-kcore", not_empty, "/proc/kcore", 0},
    {"proc-kallsyms", kernel_addresses, "/proc/kallsyms", 0},
    {"proc-modules", kernel_addresses, "/proc/modules", 0},
    {"proc-timer-list", not_empty, "/proc/timer_list", 0},
    {"proc-sched-debug", not_empty, "/proc/sched_debug", 0},
    {"proc-slabinfo", not_empty, "/proc/slabinfo", 0},
    {"proc-vmallocinfo", not_empty, "/proc/vmallocinfo", 0},
    {"proc-pagetypeinfo", not_empty, "/proc/pagetypeinfo", 0},
    {"proc-interrupts", not_empty, "/proc/interrupts", 0},
    {"proc-keys", not_empty, "/proc/keys", 0},
    {"proc-iomem", physical_memory_map, "/proc/iomem", 0},
    {"proc-partitions", not_empty, "/proc/partitions", 0},
    {"proc-diskstats", not_empty, "/proc/diskstats", 0},
    {"proc-scsi", lists_something, "/proc/scsi", 0},
    {"proc-acpi", lists_something, "/proc/acpi", 0},
    {"proc-locks-flock", canary_named_in, "/proc/locks", 1},
    {"proc-locks-ofd", canary_named_in, "/proc/locks", 2},
    {"proc-net-unix", canary_named_in, "/proc/net/unix", 0},
    {"proc-net-tcp", canary_named_in, "/proc/net/tcp", 3},
    {"proc-sysvipc", canary_named_in, "/proc/sysvipc/shm", 4},
    {"mounts-name-neighbour", canary_named_in, "/proc/self/mountinfo", 5},
    {"canary-key-listed", canary_named_in, "/proc/keys", 6},
    {"cgroup-names-neighbour", canary_named_in, "/proc/self/cgroup", 5},
    {"sys-block", lists_something, "/sys/block", 0},
    {"sys-devices", lists_something, "/sys/devices", 0},
    {"sys-firmware", lists_something, "/sys/firmware", 0},
    {"sys-cgroup", lists_something, "/sys/fs/cgroup", 0},
    {"sys-debug", lists_something, "/sys/kernel/debug", 0},
    {"sys-module", lists_something, "/sys/module", 0},
    {"host-name", host_name, "HOSTNAME", 0},
    {"watch-opens-of-neighbour", watch_neighbour, "file", 0},
    {"watch-folder-of-neighbour", watch_neighbour, "", 0},
    {"notes-of-neighbours-folder", notify_of_neighbour, NULL, 0},
    {"flock-seen-across", see_lock, NULL, 1},
    {"posix-lock-seen-across", see_lock, NULL, 0},
    {"page-cache-mincore", page_cache, NULL, SYS_mincore},
    {"page-cache-cachestat", page_cache, NULL, 451},
};
const struct attempt_group leak_group = {"leak", list, sizeof(list) / sizeof(*list)};
