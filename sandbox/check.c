/* See check.h. Each line is one probe; what changes the process is done in a child. */
#include "check.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/userns.h"
#include "common/util.h"
#include "sandbox/landlock.h"
#include "sandbox/launch.h"
#include "sandbox/service.h"
#include "sandbox/sys.h"
#include "sandbox/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>

void check_set(struct check_result *r, enum check_state state, const char *detail,
               const char *remedy)
{
    r->state = state;
    snprintf(r->detail, sizeof(r->detail), "%s", detail);
    snprintf(r->remedy, sizeof(r->remedy), "%s", remedy);
}

static void read_sys(const char *path, char *out, size_t size)
{
    if (file_read_small(path, out, size) < 0)
        out[0] = '\0';
}

/* ---- what sandboxes stand on */

static void check_kernel(struct check_result *r)
{
    struct utsname u;
    uname(&u);
    struct mount_attr attr = {0};
    bool mounts = mount_setattr(-1, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0 || errno != ENOSYS;
    struct clone_args args = {.flags = ~0ull};
    bool clone3 = sys_clone3(&args) < 0 && errno != ENOSYS; /* such flags do not exist */
    if (mounts && clone3)
        check_set(r, STATE_OK, u.release, "");
    else
        check_set(r, STATE_MISSING, mounts ? "clone3 is missing" : "mount_setattr is missing",
                  "Linux 5.12 or newer");
}

static void check_identity(struct check_result *r)
{
    struct userns_range range;
    struct err err = {0};
    char text[160];
    if (userns_is_ready()) {
        if (userns_range(0, &range, &err) < 0) {
            check_set(r, STATE_MISSING, err.msg, "");
            return;
        }
        snprintf(text, sizeof(text), "host uids %u to %u, one for each Space", range.host_first,
                 range.host_first + range.count - 1);
        check_set(r, range.count < USERNS_RANGE ? STATE_WEAK : STATE_OK, text,
                  range.count < USERNS_RANGE ? "a range of 65536 ids in /etc/subuid and /etc/subgid"
                                             : "");
        return;
    }
    /* entering is for good, so a child tries it */
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0) {
        check_set(r, STATE_MISSING, "no pipe", "");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int code = userns_enter_outer(&err);
        if (code == 0)
            code = userns_range(0, &range, &err);
        if (code == 0)
            snprintf(text, sizeof(text), "subuids %u to %u, by newuidmap", range.host_first,
                     range.host_first + range.count - 1);
        (void)!write(p[1], code ? err.msg : text, strlen(code ? err.msg : text));
        _exit(code ? 1 : range.count < USERNS_RANGE ? 2 : 0);
    }
    close(p[1]);
    char said[400] = "";
    ssize_t n = read_all(p[0], said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = '\0';
    close(p[0]);
    int st = 0;
    waitpid(pid, &st, 0);
    int code = WIFEXITED(st) ? WEXITSTATUS(st) : 1;
    check_set(r,
              code == 0   ? STATE_OK
              : code == 2 ? STATE_WEAK
                          : STATE_MISSING,
              said,
              code == 0 ? ""
                        : "a range of 65536 ids in /etc/subuid and /etc/subgid, package uidmap");
}

static void check_userns(struct check_result *r)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : errno);
    int st = 0;
    waitpid(pid, &st, 0);
    if (WIFEXITED(st) && WEXITSTATUS(st) == 0)
        check_set(r, STATE_OK, "can be made", "");
    else
        check_set(r, STATE_MISSING, strerror(WIFEXITED(st) ? WEXITSTATUS(st) : EPERM),
                  "sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1 (Debian), "
                  "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); no chroot");
}

static void check_seccomp(struct check_result *r)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
        check_set(r, STATE_OK, "filters, with killing of the whole process", "");
    else
        check_set(r, STATE_MISSING, strerror(errno), "a kernel with CONFIG_SECCOMP_FILTER");
}

static void check_nnp(struct check_result *r)
{
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0)
        check_set(r, STATE_OK, "setuid programs give nothing in a sandbox", "");
    else
        check_set(r, STATE_MISSING, strerror(errno), "Linux 3.5 or newer");
}

static void check_pidfd(struct check_result *r)
{
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (fd >= 0) {
        close(fd);
        check_set(r, STATE_OK, "workers are waited for and killed without races", "");
    } else {
        check_set(r, STATE_MISSING, strerror(errno), "Linux 5.3 or newer");
    }
}

static void check_landlock(struct check_result *r)
{
    int abi = landlock_abi();
    char text[128];
    if (abi < 0) {
        check_set(r, STATE_MISSING, strerror(-abi),
                  "a kernel with CONFIG_SECURITY_LANDLOCK and lsm=landlock,... at boot");
    } else if (abi < LANDLOCK_MIN_ABI) {
        snprintf(text, sizeof(text), "ABI %d, too old to be of use: renames would fail", abi);
        check_set(r, STATE_MISSING, text, "Linux 5.19 or newer");
    } else {
        snprintf(text, sizeof(text), "ABI %d: writes only where the sandbox says%s", abi,
                 abi >= 6 ? ", no signals outwards" : "");
        check_set(r, STATE_OK, text, "");
    }
}

static void check_core_pattern(struct check_result *r)
{
    char pattern[128];
    read_sys("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern));
    if (pattern[0] == '|')
        check_set(r, STATE_WEAK,
                  "core dumps go to a program of the host's; the limit of 1 keeps them off",
                  "sysctl kernel.core_pattern=core");
    else
        check_set(r, STATE_OK, "core dumps go nowhere", "");
}

/* ---- limits */

static struct cgroup_host groups;
static bool has_groups;

static void check_group(struct check_result *r, enum cgroup_kind kind, const char *otherwise)
{
    if (has_groups && cgroup_host_has(&groups, kind))
        check_set(r, STATE_OK, groups.v2[kind] ? "control group v2" : "control group v1", "");
    else
        check_set(
            r, kind == CGROUP_CPU ? STATE_MISSING : STATE_WEAK, otherwise,
            "start by systemd-run --user --scope -p Delegate=yes, as a service with Delegate=yes, "
            "or as root");
}

static void check_memory(struct check_result *r)
{
    check_group(r, CGROUP_MEMORY, "RLIMIT_DATA of each process stands in, and the sizes of tmpfs");
}

static void check_pids(struct check_result *r)
{
    check_group(r, CGROUP_PIDS, "RLIMIT_NPROC of the Space's own uid stands in");
}

static void check_cpu(struct check_result *r)
{
    check_group(r, CGROUP_CPU, "a demo may use every core");
}

/* cpu_class.h */
static void check_cpu_classes(struct check_result *r)
{
    struct cgroup_group g;
    bool there =
        has_groups && cgroup_host_has(&groups, CGROUP_CPU) && cgroup_create(&groups, &g, NULL) == 0;
    int joins[CGROUP_HIERARCHIES];
    int n = there ? cgroup_create_v1(&groups, &g, joins, NULL) : 0;
    while (n > 0)
        close(joins[--n]);
    bool ok = there && cgroup_batch(&groups, &g) >= 0;
    if (there)
        (void)cgroup_remove(&groups, &g);
    if (ok)
        check_set(r, STATE_OK, "cpu.idle for who works without a pause", "");
    else
        check_set(r, STATE_WEAK, "a neighbour's short work waits for the slices of a hog",
                  "a control group that limits the CPU, and Linux 5.15 or newer");
}

static void check_io(struct check_result *r)
{
    static const char controller[] = "cgroup v2 with the io controller, as root or delegated";
    if (!cgroup_io_is_weighed())
        check_set(r, STATE_WEAK,
                  "no disk's scheduler heeds weights: one worker's disk use slows the others",
                  "echo bfq >/sys/block/DISK/queue/scheduler, or io.cost.qos of cgroup v2");
    else if (has_groups && groups.v2[CGROUP_IO])
        check_set(r, STATE_OK, "control group v2, and a scheduler that heeds it", "");
    else if (has_groups && cgroup_host_has(&groups, CGROUP_IO))
        check_set(r, STATE_WEAK, "control group v1, which counts direct input and output only",
                  controller);
    else
        check_set(r, STATE_WEAK, "no controller: one worker's disk use slows the others",
                  controller);
}

static void check_kill(struct check_result *r)
{
    struct cgroup_group g;
    if (!has_groups || groups.fd[CGROUP_UNIFIED] < 0 || cgroup_create(&groups, &g, NULL) < 0) {
        check_set(r, STATE_WEAK, "workers end with their PID 1; they cannot be frozen",
                  "cgroup v2 mounted, as root or with delegation");
        return;
    }
    _cleanup_close_ int fd = cgroup_unified_fd(&groups, &g);
    bool kill_file = faccessat(fd, "cgroup.kill", W_OK, 0) == 0;
    bool freeze_file = faccessat(fd, "cgroup.freeze", W_OK, 0) == 0;
    (void)cgroup_remove(&groups, &g);
    check_set(r, kill_file && freeze_file ? STATE_OK : STATE_WEAK,
              kill_file     ? "cgroup.kill and cgroup.freeze"
              : freeze_file ? "cgroup.freeze; no cgroup.kill"
                            : "neither cgroup.kill nor cgroup.freeze",
              kill_file && freeze_file ? "" : "Linux 5.14 or newer");
}

/* ---- everything together: a sandbox with an overlay that runs /bin/true */

static int try_sandbox(struct err *err)
{
    static struct proto_start st;
    st = (struct proto_start){.flags = START_JOB,
                              .memory_bytes = 64u << 20,
                              .pids = 16,
                              .tmp_bytes = 1u << 20,
                              .home_bytes = 1u << 20};
    snprintf(st.root, sizeof(st.root), "host");
    snprintf(st.cwd, sizeof(st.cwd), "%s", SPEC_HOME);
    snprintf(st.app, sizeof(st.app), "/usr/lib");
    (void)proto_list_add(st.argv, &st.argv_len, sizeof(st.argv), "/bin/true");
    struct launch_env env;
    struct launch l;
    int fds[SPEC_FD_COUNT] = {-1, -1, -1, -1, -1, -1, -1, -1};
    int r = launch_env_open(&env, NULL, 0, false, err);
    if (r < 0)
        return r;
    st.uid_index = env.range.count - 2;
    st.lease_ms = UINT64_MAX;
    if ((r = launch_open(&env, "host", &l, err)) == 0) {
        r = launch_go(&env, &l, &st, fds, err);
        struct pollfd p = {.fd = l.sock, .events = POLLIN};
        while (r == 0 && (r = launch_result(&l, err)) == -EAGAIN)
            r = poll(&p, 1, 10000) > 0 ? 0 : err_set(err, ETIMEDOUT, "no answer within 10 s");
        p.fd = l.pidfd;
        if (r == 1 && poll(&p, 1, 10000) > 0) {
            siginfo_t info = {0};
            r = waitid(P_PIDFD, (id_t)l.pidfd, &info, WEXITED | WNOWAIT) == 0 &&
                        info.si_code == CLD_EXITED && info.si_status == 0
                    ? 0
                    : err_set(err, EIO, "/bin/true failed in it");
        }
    }
    launch_abandon(&env, &l);
    launch_env_close(&env);
    return r;
}

static int try_gateway(struct err *err)
{
    struct service_plan plan = {.kind = SERVICE_GATEWAY};
    return service_try(&plan, err);
}

/* With a file and a folder, as it has them; the data folder may not be there yet. */
static int try_webui(struct err *err)
{
    char top[] = "/tmp/vitrine-check-XXXXXX", file[64], folder[64];
    if (!mkdtemp(top))
        return err_errno(err, "make a folder in /tmp");
    snprintf(file, sizeof(file), "%s/file", top);
    snprintf(folder, sizeof(folder), "%s/folder", top);
    struct service_plan plan = {.kind = SERVICE_WEBUI, .files = {file}, .folders = {folder}};
    int r =
        mkdir(folder, 0700) < 0 ? err_errno(err, "make a folder in /tmp") : service_try(&plan, err);
    (void)unlink(file);
    (void)rmdir(folder);
    (void)rmdir(top);
    return r;
}

/* In a child: entering the outer namespace is for good. */
static bool succeeds(int (*try)(struct err *err), char *said, size_t len)
{
    int p[2];
    said[0] = '\0';
    if (pipe2(p, O_CLOEXEC) < 0) {
        snprintf(said, len, "no pipe");
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        int code = userns_enter_outer(&err);
        code = code < 0 ? code : try(&err);
        (void)!write(p[1], err.msg, strlen(err.msg));
        _exit(code == 0 ? 0 : 1);
    }
    close(p[1]);
    ssize_t n = read_all(p[0], said, len - 1);
    said[n > 0 ? n : 0] = '\0';
    close(p[0]);
    int st = 0;
    waitpid(pid, &st, 0);
    return WIFEXITED(st) && WEXITSTATUS(st) == 0;
}

static void check_service(struct check_result *r, int (*try)(struct err *err), const char *what)
{
    char said[300];
    bool ok = succeeds(try, said, sizeof(said));
    check_set(r, ok ? STATE_OK : STATE_MISSING, ok ? what : said,
              ok ? "" : "see the lines above; [sandbox] require_services = false serves without");
}

static void check_gateway(struct check_result *r)
{
    check_service(r, try_gateway,
                  "an empty root, no capability, a filter that kills; descriptors only");
}

static void check_webui(struct check_result *r)
{
    check_service(r, try_webui,
                  "a root of life.db, read-only, and uploads; no capability, a filter that kills");
}

static void check_sandbox(struct check_result *r)
{
    char said[300];
    bool ok = succeeds(try_sandbox, said, sizeof(said));
    check_set(r, ok ? STATE_OK : STATE_MISSING,
              ok ? "/bin/true ran in a whole one, overlay included" : said,
              ok ? "" : "see the lines above");
}

static const struct {
    const char *name;
    bool needed;
    void (*run)(struct check_result *r);
} checks[] = {
    {"kernel", true, check_kernel},
    {"container", false, check_container},
    {"user namespaces", true, check_userns},
    {"userns policy", false, check_userns_policy},
    {"namespaces", true, check_namespaces},
    {"id range", true, check_identity},
    {"id tools", true, check_id_tools},
    {"overlay", true, check_overlay},
    {"seccomp", true, check_seccomp},
    {"no_new_privs", true, check_nnp},
    {"pidfd", true, check_pidfd},
    {"memory limit", false, check_memory},
    {"swap limit", false, check_swap},
    {"pids limit", false, check_pids},
    {"cpu limit", false, check_cpu},
    {"short work first", false, check_cpu_classes},
    {"io weight", false, check_io},
    {"freeze and kill", false, check_kill},
    {"core dumps", false, check_core_pattern},
    {"landlock", false, check_landlock},
    {"hidden processes", false, check_hidepid},
    {"yama", false, check_yama},
    {"inotify", false, check_inotify},
    {"modprobe", false, check_modprobe},
    {"processor", false, check_processor},
    {"internet", false, check_internet},
    {"a sandbox", true, check_sandbox},
    {"gateway", false, check_gateway},
    {"webui", false, check_webui},
};
#define N_CHECKS (sizeof(checks) / sizeof(*checks))

static void print_table(const struct check_result *results)
{
    static const char *const words[] = {"there", "partly", "MISSING"};
    for (size_t i = 0; i < N_CHECKS; i++) {
        printf("%-16s %-8s %s\n", checks[i].name, words[results[i].state], results[i].detail);
        if (results[i].state != STATE_OK && results[i].remedy[0])
            printf("%-16s %-8s remedy: %s\n", "", "", results[i].remedy);
    }
}

static int print_json(const struct check_result *results, bool can_run)
{
    static const char *const words[] = {"ok", "weak", "missing"};
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    int r = buf_printf(&b, "{\"workers_can_run\":%s,\"checks\":[", can_run ? "true" : "false");
    for (size_t i = 0; r == 0 && i < N_CHECKS; i++) {
        if ((r = buf_printf(&b, "%s{\"name\":\"%s\",\"state\":\"%s\",\"needed\":%s,\"detail\":",
                            i ? "," : "", checks[i].name, words[results[i].state],
                            checks[i].needed ? "true" : "false")) == 0 &&
            (r = buf_json(&b, results[i].detail)) == 0 && (r = buf_puts(&b, ",\"remedy\":")) == 0 &&
            (r = buf_json(&b, results[i].remedy)) == 0)
            r = buf_puts(&b, "}");
    }
    if (r == 0 && (r = buf_puts(&b, "]}\n")) == 0)
        fwrite(b.data, 1, b.len, stdout);
    return r;
}

int check_main(int argc, char **argv)
{
    bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc > 1 && !json) {
        fputs("usage: vitrine-sandbox check [--json]\n", stderr);
        return 2;
    }
    has_groups = cgroup_host_open(&groups, NULL, true, NULL) == 0;
    struct check_result results[N_CHECKS] = {0};
    bool can_run = true;
    for (size_t i = 0; i < N_CHECKS; i++) {
        checks[i].run(&results[i]);
        if (checks[i].needed && results[i].state == STATE_MISSING)
            can_run = false;
    }
    if (has_groups)
        cgroup_host_close(&groups);
    if (json) {
        if (print_json(results, can_run) < 0) {
            fputs("vitrine-sandbox: out of memory\n", stderr);
            return 1;
        }
    } else {
        print_table(results);
        puts(can_run ? "workers can run here" : "workers cannot run here");
    }
    return can_run ? 0 : 1;
}
