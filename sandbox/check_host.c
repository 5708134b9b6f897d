/* Probes of what lies around sandboxes; see check.h. What changes a process is tried in a child. */
#include "check.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "sandbox/filesystems.h"
#include "sandbox/limits.h"
#include "sandbox/mounts.h"
#include "sandbox/mount_api.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define INOTIFY_ENOUGH 512 /* more than 200 workers, the default of max_workers, and builds */

/* The text of a file of the kernel's, without its last newline; "" where there is none. */
static void read_text(const char *path, char *out, size_t size)
{
    if (file_read_small(path, out, size) < 0)
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

/* Runs `probe` in a child: 0 or the positive errno that it ended with. */
static int in_child(int (*probe)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(probe() & 0xff);
    int st = 0;
    if (pid < 0 || waitpid(pid, &st, 0) < 0)
        return errno;
    return WIFEXITED(st) ? WEXITSTATUS(st) : EPERM;
}

static int kind_tried;

static int try_kind(void)
{
    return unshare(CLONE_NEWUSER | kind_tried) == 0 ? 0 : errno;
}

void check_namespaces(struct check_result *r)
{
    static const struct {
        const char *name;
        int flag;
    } kinds[] = {{"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"network", CLONE_NEWNET},
                 {"ipc", CLONE_NEWIPC},  {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP},
                 {"user", CLONE_NEWUSER}};
    char missing[128] = "";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        kind_tried = kinds[i].flag;
        if (in_child(try_kind) != 0)
            snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), "%s%s",
                     *missing ? ", " : "none of kind ", kinds[i].name);
    }
    if (*missing)
        check_set(r, STATE_MISSING, missing,
                  "a kernel with CONFIG_NAMESPACES and all of its kinds; in a container, see the "
                  "line \"container\"");
    else
        check_set(r, STATE_OK, "mount, pid, network, ipc, uts, cgroup, user; time is not needed",
                  "");
}

void check_userns_policy(struct check_result *r)
{
    static const struct {
        const char *path, *forbids, *remedy;
    } policies[] = {
        {"/proc/sys/kernel/unprivileged_userns_clone", "0",
         "sysctl kernel.unprivileged_userns_clone=1 (Debian), or run as root"},
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
         "an AppArmor profile with \"userns,\" for vitrine and vitrine-sandbox, or sysctl "
         "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), or run as root"},
        {"/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"},
    };
    for (size_t i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
        char value[32], text[160];
        read_text(policies[i].path, value, sizeof(value));
        if (strcmp(value, policies[i].forbids) != 0)
            continue;
        snprintf(text, sizeof(text), "%s is %s: ordinary users may not make them",
                 policies[i].path + sizeof("/proc/sys/") - 1, value);
        check_set(r, geteuid() == 0 ? STATE_OK : STATE_WEAK, text, policies[i].remedy);
        return;
    }
    check_set(r, STATE_OK, "no sysctl of the distribution forbids them", "");
}

void check_id_tools(struct check_result *r)
{
    char groups[16];
    read_text("/proc/self/setgroups", groups, sizeof(groups));
    if (strcmp(groups, "deny") == 0)
        check_set(r, STATE_WEAK,
                  "setgroups is denied in this user namespace: sandboxes would keep our groups",
                  "start vitrine outside of it, or in one whose map newuidmap wrote");
    else if (geteuid() == 0)
        check_set(r, STATE_OK, "root needs none; groups are dropped by setgroups", "");
    else if (access("/usr/bin/newuidmap", X_OK) == 0 && access("/usr/bin/newgidmap", X_OK) == 0)
        check_set(r, STATE_OK, "newuidmap and newgidmap; groups are dropped by setgroups", "");
    else
        check_set(r, STATE_MISSING, "newuidmap and newgidmap are not in /usr/bin",
                  "apt-get install uidmap");
}

/* Two folders that every system has serve as layers: nothing has to be made. */
static int try_overlay(void)
{
    struct err err = {0};
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return errno;
    if (mounts_private(&err) < 0 || chdir("/") < 0)
        return EPERM;
    int fd = fs_overlay_read_only("usr/bin", "usr/lib", &err);
    return fd < 0 ? -fd : 0;
}

void check_overlay(struct check_result *r)
{
    int code = in_child(try_overlay);
    if (code == 0)
        check_set(r, STATE_OK, "in a user namespace: each sandbox has inodes of its own", "");
    else
        check_set(r, STATE_MISSING, strerror(code),
                  "Linux 5.11 or newer with CONFIG_OVERLAY_FS (modprobe overlay); not on top of "
                  "two overlays");
}

static int try_hidepid(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return errno;
    _cleanup_close_ int fs = fsopen("proc", FSOPEN_CLOEXEC);
    if (fs < 0)
        return errno;
    return fsconfig(fs, FSCONFIG_SET_STRING, "hidepid", "invisible", 0) == 0 ? 0 : errno;
}

void check_hidepid(struct check_result *r)
{
    int code = in_child(try_hidepid);
    if (code == 0)
        check_set(r, STATE_OK, "a program does not see PID 1 of its sandbox", "");
    else
        check_set(r, STATE_WEAK, "a program sees that its sandbox has a PID 1, and cannot touch it",
                  "Linux 5.8 or newer");
}

void check_swap(struct check_result *r)
{
    char swaps[512], v2[256];
    if (file_read_small("/proc/swaps", swaps, sizeof(swaps)) < 0)
        swaps[0] = '\0';
    const char *second = strchr(swaps, '\n');
    read_text("/sys/fs/cgroup/cgroup.controllers", v2, sizeof(v2));
    if (!second || !second[1])
        check_set(r, STATE_OK, "this machine has none", "");
    else if (strstr(v2, "memory"))
        check_set(r, STATE_OK, "none for workers, by memory.swap.max", "");
    else if (access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) == 0)
        check_set(r, STATE_OK, "counted with memory, by memory.memsw.limit_in_bytes", "");
    else
        check_set(r, STATE_WEAK, "a worker that reaches its memory limit goes on into swap",
                  "cgroup v2 with the memory controller, or swapaccount=1 at boot, or swapoff");
}

void check_yama(struct check_result *r)
{
    char scope[16];
    read_text("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope));
    if (scope[0] >= '1' && scope[0] <= '3')
        check_set(r, STATE_OK, "processes of one user outside may not trace each other freely", "");
    else
        check_set(r, STATE_WEAK,
                  "no restriction outside; in sandboxes the filter refuses tracing anyway",
                  "sysctl kernel.yama.ptrace_scope=1");
}

void check_inotify(struct check_result *r)
{
    char value[32], text[200];
    read_text("/proc/sys/fs/inotify/max_user_instances", value, sizeof(value));
    long most = strtol(value, NULL, 10);
    if (!*value) {
        check_set(r, STATE_OK, "this kernel has none", "");
        return;
    }
    snprintf(text, sizeof(text),
             "%ld instances for all of a user's: enough for %ld sandboxes at a time, of %d each",
             most, most / LIMITS_INOTIFY, LIMITS_INOTIFY);
    check_set(
        r, most >= INOTIFY_ENOUGH ? STATE_OK : STATE_WEAK, text,
        "sysctl fs.inotify.max_user_instances=1024, or twice the workers that are to run at a "
        "time and some more: a program that gets none may not see changed files, or end");
}

void check_modprobe(struct check_result *r)
{
    char program[256], off[16], text[320];
    struct utsname u;
    int major = 0, minor = 0;
    bool known = uname(&u) == 0 && sscanf(u.release, "%d.%d", &major, &minor) == 2;
    read_text("/proc/sys/kernel/modprobe", program, sizeof(program));
    read_text("/proc/sys/kernel/modules_disabled", off, sizeof(off));
    if (known && (major > 6 || (major == 6 && minor >= 14)))
        check_set(r, STATE_OK, "this kernel starts none for a file that no loader knows", "");
    else if (!*program || strcmp(off, "1") == 0)
        check_set(r, STATE_OK, "the kernel starts none", "");
    else {
        snprintf(text, sizeof(text),
                 "before Linux 6.14 the kernel starts %s, outside of every control group, for each "
                 "file that a program runs and no loader knows",
                 program);
        check_set(r, STATE_WEAK, text,
                  "sysctl kernel.modules_disabled=1 or kernel.modprobe= (empty), once the modules "
                  "that this machine needs are loaded; or Linux 6.14");
    }
}

static int try_netfilter(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return errno;
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 12 /* NETLINK_NETFILTER */) < 0 ? errno : 0;
}

void check_internet(struct check_result *r)
{
    bool slirp = access("/usr/bin/slirp4netns", X_OK) == 0;
    bool tun = access("/dev/net/tun", R_OK | W_OK) == 0;
    if (!slirp)
        check_set(r, STATE_WEAK, "no program that gives a worker a way out",
                  "apt-get install slirp4netns");
    else if (!tun)
        check_set(r, STATE_WEAK, "/dev/net/tun cannot be opened",
                  "modprobe tun; in a container, hand the device in");
    else if (in_child(try_netfilter) != 0)
        check_set(r, STATE_WEAK, "no netfilter in a network namespace",
                  "a kernel with CONFIG_NF_TABLES (modprobe nf_tables)");
    else
        check_set(r, STATE_OK, "slirp4netns, tun and netfilter", "");
}

void check_processor(struct check_result *r)
{
    static const char folder[] = "/sys/devices/system/cpu/vulnerabilities";
    char names[200] = "";
    _cleanup_closedir_ DIR *d = opendir(folder);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        char path[320], text[256];
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        read_text(path, text, sizeof(text));
        if (strncmp(text, "Vulnerable", 10) == 0)
            snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%.60s",
                     *names ? ", " : "the kernel does not cover: ", e->d_name);
    }
    if (!d)
        check_set(r, STATE_WEAK, "the kernel does not tell about its weaknesses", "mount /sys");
    else if (*names)
        check_set(r, STATE_WEAK, names,
                  "newer microcode and kernel, no mitigations=off; in a virtual machine, its host");
    else
        check_set(r, STATE_OK, "the kernel covers the weaknesses that it knows", "");
}

/* A virtual machine can have been made from an image, and the file with it: the root of a
 * container is an overlay. */
static bool is_docker(const char *init_groups)
{
    struct statfs fs;
    return strstr(init_groups, "docker") ||
           (access("/.dockerenv", F_OK) == 0 && statfs("/", &fs) == 0 &&
            fs.f_type == OVERLAYFS_SUPER_MAGIC);
}

void check_container(struct check_result *r)
{
    static const char remedy[] =
        "run vitrine on the machine itself or in a virtual machine; else see SECURITY.md, \"Inside "
        "other sandboxes\"";
    char version[256], type[64], init[256];
    read_text("/proc/version", version, sizeof(version));
    read_text("/run/systemd/container", type, sizeof(type));
    read_text("/proc/1/cgroup", init, sizeof(init));
    if (strstr(version, "gVisor"))
        check_set(r, STATE_WEAK, "inside gVisor, which has no seccomp filters, overlays or cgroups",
                  remedy);
    else if (is_docker(init))
        check_set(r, STATE_WEAK,
                  "inside Docker: its default profile forbids namespaces and mounts; it takes "
                  "--security-opt seccomp=unconfined apparmor=unconfined systempaths=unconfined",
                  remedy);
    else if (access("/run/.containerenv", F_OK) == 0)
        check_set(r, STATE_WEAK, "inside Podman: it takes --security-opt unmask=ALL", remedy);
    else if (access("/dev/.lxc-boot-id", F_OK) == 0 || strstr(type, "lxc") || strstr(init, "lxc"))
        check_set(r, STATE_WEAK, "inside LXC: it takes security.nesting=true", remedy);
    else if (*type)
        check_set(r, STATE_WEAK, "inside a container", remedy);
    else
        check_set(r, STATE_OK, "none around us", "");
}
