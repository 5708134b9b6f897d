/* Getting more rights than were given. */
#include "tests/attack/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The host's uid 0, whatever it is called in here. */
static bool be_host_root(const struct attempt *a)
{
    (void)a;
    unsigned inside, outside, count;
    if (setresuid(0, 0, 0) < 0 && geteuid() != 0)
        return false;
    FILE *f = fopen("/proc/self/uid_map", "re");
    bool found = false;
    while (f && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3)
        found = found || (geteuid() - inside < count && geteuid() - inside + outside == 0);
    if (f)
        fclose(f);
    return found;
}

static bool become_uid(const struct attempt *a)
{
    uid_t old = getuid(), want = a->n < 0 ? (uid_t)canary_number("NEIGHBOUR_UID") : (uid_t)a->n;
    return old != want && setresuid(want, want, want) == 0;
}

static bool become_gid(const struct attempt *a)
{
    return getgid() != (gid_t)a->n && setresgid((gid_t)a->n, (gid_t)a->n, (gid_t)a->n) == 0;
}

static bool join_groups(const struct attempt *a)
{
    gid_t g = (gid_t)a->n;
    return setgroups(1, &g) == 0;
}

static bool inherited_groups(const struct attempt *a)
{
    (void)a;
    gid_t g[256];
    int n = getgroups(256, g);
    for (int i = 0; i < n; i++)
        if (g[i] != getgid())
            return true;
    return false;
}

static bool file_system_uid(const struct attempt *a)
{
    if (getuid() == (uid_t)a->n)
        return false;
    setfsuid((uid_t)a->n);
    return setfsuid((uid_t)-1) == a->n;
}

static bool raise_capability(const struct attempt *a)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    data[a->n / 32].effective = data[a->n / 32].permitted = 1u << a->n % 32;
    return syscall(SYS_capset, &head, data) == 0;
}

static bool prctl_call(const struct attempt *a)
{
    unsigned long value = 1;
    if (a->n == PR_CAP_AMBIENT)
        return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) == 0;
    if (a->n == PR_SET_SECUREBITS)
        value = SECBIT_KEEP_CAPS;
    if (a->n == PR_SET_NO_NEW_PRIVS) /* taken back */
        return prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ||
               prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
    return prctl((int)a->n, value, 0, 0, 0) == 0;
}

static bool can_mce(const struct attempt *a)
{
    (void)a;
    return prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0;
}

/* A filter that was loaded must also hold what comes by a way it does not look at. */
static bool unfiltered(const struct attempt *a)
{
    (void)a;
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0;
}

/* A program on disk with the set-uid bit, or capabilities: set up by the suite as root. */
static bool run_with_more(const struct attempt *a)
{
    char path[4096], out[64] = "";
    snprintf(path, sizeof(path), "%s/%s", canary("TOOLS"), a->path);
    int fds[2];
    if (access(path, X_OK) < 0 || pipe(fds) < 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        execl(path, path, a->n ? "dev-mem" : "--who", (char *)NULL);
        _exit(9);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], out, sizeof(out) - 1);
    waitpid(pid, NULL, 0);
    if (n <= 0)
        return false;
    return a->n ? strstr(out, "succeeded") != NULL : atoi(out) == 0 && geteuid() != 0;
}

static bool change_ownership(const struct attempt *a)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/owned", scratch());
    can_open(path, O_WRONLY | O_CREAT);
    return getuid() != (uid_t)a->n && chown(path, (uid_t)a->n, (gid_t)a->n) == 0;
}

static bool set_capability_on_file(const struct attempt *a)
{
    (void)a;
    char path[4096];
    uint32_t data[5] = {0x02000001, 1u << CAP_NET_RAW, 0, 0, 0};
    snprintf(path, sizeof(path), "%s/capable", scratch());
    can_open(path, O_WRONLY | O_CREAT);
    return syscall(SYS_setxattr, path, "security.capability", data, sizeof(data), 0) == 0;
}

static bool raise_limit(const struct attempt *a)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)a->n, &now) < 0 || now.rlim_max == RLIM_INFINITY)
        return now.rlim_max == RLIM_INFINITY; /* nothing to raise: no limit */
    struct rlimit more = {now.rlim_max + 1, now.rlim_max + 1};
    /* what is only said to be done was not */
    return setrlimit((__rlimit_resource_t)a->n, &more) == 0 &&
           getrlimit((__rlimit_resource_t)a->n, &now) == 0 && now.rlim_max >= more.rlim_max;
}

/* At 0 a piped core_pattern would run the host's handler. */
static bool no_core_limit(const struct attempt *a)
{
    struct rlimit none = {0, 0}, now;
    if (a->n)
        syscall(SYS_prlimit64, getpid(), RLIMIT_CORE | a->n, &none, NULL);
    else
        setrlimit(RLIMIT_CORE, &none);
    return getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur == 0;
}

/* Of the host's pool, which no group limits; not reserved, so none is taken. */
static bool huge_pages(const struct attempt *a)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_HUGETLB;
    if (a->n)
        return syscall(SYS_memfd_create, "huge", 4 /* MFD_HUGETLB */) >= 0;
    return mmap(NULL, 2L << 20, PROT_READ, flags, -1, 0) != MAP_FAILED;
}

/* The time of a write tells who else has such a page. */
static bool merge_memory(const struct attempt *a)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED && madvise(p, 4096, (int)a->n) == 0;
}

static bool real_time(const struct attempt *a)
{
    struct sched_param p = {.sched_priority = 1};
    return sched_setscheduler(0, (int)a->n, &p) == 0;
}

static bool nicer(const struct attempt *a)
{
    return setpriority(PRIO_PROCESS, 0, (int)a->n) == 0;
}

static bool io_real_time(const struct attempt *a)
{
    (void)a;
    return syscall(SYS_ioprio_set, 1, 0, 1 << 13 | 0) == 0;
}

static bool survive_oom(const struct attempt *a)
{
    (void)a;
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, "-1000", 5) == 5;
}

static bool lock_memory(const struct attempt *a)
{
    void *p =
        mmap(NULL, (size_t)a->n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p != MAP_FAILED && mlock2(p, (size_t)a->n, MLOCK_ONFAULT) == 0;
}

static bool map_zero(const struct attempt *a)
{
    (void)a;
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                0) != MAP_FAILED;
}

static const struct attempt list[] = {
    {"be-host-root", be_host_root, NULL, 0},
    {"become-uid-0", become_uid, NULL, 0},
    {"become-uid-1", become_uid, NULL, 1},
    {"become-neighbour-uid", become_uid, NULL, -1},
    {"become-gid-0", become_gid, NULL, 0},
    {"become-gid-shadow", become_gid, NULL, 42},
    {"join-group-0", join_groups, NULL, 0},
    {"inherited-groups", inherited_groups, NULL, 0},
    {"file-system-uid-0", file_system_uid, NULL, 0},
    {"capability-sys-admin", raise_capability, NULL, CAP_SYS_ADMIN},
    {"capability-net-admin", raise_capability, NULL, CAP_NET_ADMIN},
    {"capability-net-raw", raise_capability, NULL, CAP_NET_RAW},
    {"capability-mknod", raise_capability, NULL, CAP_MKNOD},
    {"capability-dac-override", raise_capability, NULL, CAP_DAC_OVERRIDE},
    {"capability-setuid", raise_capability, NULL, CAP_SETUID},
    {"capability-ambient", prctl_call, NULL, PR_CAP_AMBIENT},
    {"secure-bits", prctl_call, NULL, PR_SET_SECUREBITS},
    {"no-new-privileges-off", prctl_call, NULL, PR_SET_NO_NEW_PRIVS},
    {"memory-error-policy", can_mce, NULL, 0},
    {"no-filter", unfiltered, NULL, 0},
    {"set-uid-program", run_with_more, "attempts-setuid", 0},
    {"program-with-capabilities", run_with_more, "attempts-capable", 1},
    {"give-file-to-uid-0", change_ownership, NULL, 0},
    {"capability-on-file", set_capability_on_file, NULL, 0},
    {"more-open-files", raise_limit, NULL, RLIMIT_NOFILE},
    {"more-processes", raise_limit, NULL, RLIMIT_NPROC},
    {"larger-files", raise_limit, NULL, RLIMIT_FSIZE},
    {"more-locked-memory", raise_limit, NULL, RLIMIT_MEMLOCK},
    {"core-dumps", raise_limit, NULL, RLIMIT_CORE},
    {"core-dumps-to-the-handler", no_core_limit, NULL, 0},
    {"core-dumps-by-prlimit", no_core_limit, NULL, 1L << 40},
    {"huge-pages", huge_pages, NULL, 0},
    {"huge-pages-of-a-file", huge_pages, NULL, 1},
    {"merged-memory", merge_memory, NULL, MADV_MERGEABLE},
    {"real-time-fifo", real_time, NULL, SCHED_FIFO},
    {"real-time-rr", real_time, NULL, SCHED_RR},
    {"negative-nice", nicer, NULL, -10},
    {"io-real-time", io_real_time, NULL, 0},
    {"survive-out-of-memory", survive_oom, NULL, 0},
    {"lock-much-memory", lock_memory, NULL, 256L << 20},
    {"map-page-zero", map_zero, NULL, 0},
};
const struct attempt_group rights_group = {"rights", list, sizeof(list) / sizeof(*list)};
