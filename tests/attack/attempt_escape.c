/* Roots, mounts, namespaces. */
#include "tests/attack/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *place(void)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/place", scratch());
    mkdir(path, 0755);
    return path;
}

static bool chroot_escape(const struct attempt *a)
{
    (void)a;
    if (chdir("/") < 0 || chroot(place()) < 0)
        return false;
    for (int i = 0; i < 64; i++)
        if (chdir("..") < 0)
            break;
    return chroot(".") == 0 && file_has_token(canary_path("public"));
}

static bool pivot(const struct attempt *a)
{
    (void)a;
    return syscall(SYS_pivot_root, ".", ".") == 0;
}

static bool mount_new(const struct attempt *a)
{
    return mount("none", place(), a->path, 0, NULL) == 0;
}

static bool mount_flags(const struct attempt *a)
{
    return mount(a->path, a->n & (MS_REMOUNT | MS_SHARED) ? a->path : place(), NULL,
                 (unsigned long)a->n, NULL) == 0;
}

static bool unmount(const struct attempt *a)
{
    return umount2(a->path, MNT_DETACH) == 0;
}

static bool new_mount_api(const struct attempt *a)
{
    struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
    switch (a->n) {
    case SYS_open_tree:
        return syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE) >= 0;
    case SYS_fsopen:
        return syscall(SYS_fsopen, "tmpfs", 0) >= 0;
    case SYS_fspick:
        return syscall(SYS_fspick, AT_FDCWD, "/", 0) >= 0;
    case SYS_move_mount:
        return syscall(SYS_move_mount, AT_FDCWD, "/proc", AT_FDCWD, place(), 0) == 0;
    default:
        return syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof(attr)) == 0;
    }
}

static bool unshare_ns(const struct attempt *a)
{
    return unshare((int)a->n) == 0;
}

/* By the bare call, with the flags in a word whose upper half must not confuse a filter. */
static bool clone_ns(const struct attempt *a)
{
    long pid = syscall(SYS_clone, (unsigned long)a->n | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, NULL, 0);
    return pid > 0;
}

static bool clone3_ns(const struct attempt *a)
{
    struct clone_args args = {.flags = (uint64_t)a->n, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, NULL, 0);
    return pid > 0;
}

/* A user namespace, root in it, and a file system mounted there. */
static bool become_root_inside(const struct attempt *a)
{
    (void)a;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return false;
    return mount("none", place(), "tmpfs", 0, NULL) == 0 || getuid() == 65534;
}

static bool enter_ns(const struct attempt *a)
{
    int fd = open(a->path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && setns(fd, 0) == 0;
}

/* Those of a process that has others than we. */
static bool enter_ns_of_pid(const struct attempt *a)
{
    long pid = a->path ? canary_number(a->path) : 1;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd >= 0 && setns(fd, (int)a->n) == 0;
}

struct handle {
    struct file_handle head;
    unsigned char bytes[128];
};

/* A file by its number, past all names: how "shocker" left Docker. */
static bool open_by_handle(const struct attempt *a)
{
    (void)a;
    struct handle h = {0};
    unsigned type, len = 0, byte;
    int used;
    const char *text = canary("HANDLE");
    if (sscanf(text, "%u:%n", &type, &used) < 1)
        return false;
    for (text += used; len < sizeof(h.bytes) && sscanf(text, "%2x", &byte) == 1; text += 2)
        h.bytes[len++] = (unsigned char)byte;
    h.head.handle_bytes = len;
    h.head.handle_type = (int)type;
    static const char *const same_disk[] = {"/usr", "/", "/etc/services", "/mnt/ro"};
    for (size_t i = 0; i < sizeof(same_disk) / sizeof(*same_disk); i++) {
        int at = open(same_disk[i], O_RDONLY | O_CLOEXEC);
        int fd = at < 0 ? -1 : open_by_handle_at(at, &h.head, O_RDONLY);
        if (fd >= 0 && fd_has_token(fd))
            return true;
    }
    return false;
}

static bool get_handle(const struct attempt *a)
{
    (void)a;
    struct handle h = {.head = {.handle_bytes = sizeof(h.bytes)}};
    int mount_id;
    return name_to_handle_at(AT_FDCWD, "/usr", &h.head, &mount_id, 0) == 0;
}

static bool release_agent(const struct attempt *a)
{
    (void)a;
    if (mount("cgroup", place(), "cgroup", 0, "memory") < 0)
        return false;
    return chdir(place()) == 0 && can_open("release_agent", O_WRONLY);
}

static const struct attempt list[] = {
    {"chroot-escape", chroot_escape, NULL, 0},
    {"pivot-root", pivot, NULL, 0},
    {"mount-tmpfs", mount_new, "tmpfs", 0},
    {"mount-proc", mount_new, "proc", 0},
    {"mount-sysfs", mount_new, "sysfs", 0},
    {"mount-cgroup2", mount_new, "cgroup2", 0},
    {"mount-devpts", mount_new, "devpts", 0},
    {"mount-mqueue", mount_new, "mqueue", 0},
    {"cgroup-release-agent", release_agent, NULL, 0},
    {"mount-bind-root", mount_flags, "/", MS_BIND | MS_REC},
    {"mount-move-proc", mount_flags, "/proc", MS_MOVE},
    {"remount-usr-writable", mount_flags, "/usr", MS_REMOUNT | MS_BIND},
    {"remount-root-writable", mount_flags, "/", MS_REMOUNT | MS_BIND},
    {"remount-proc-writable", mount_flags, "/proc", MS_REMOUNT | MS_BIND},
    {"mount-propagation-shared", mount_flags, "/", MS_SHARED | MS_REC},
    {"umount-proc", unmount, "/proc", 0},
    {"umount-proc-mask", unmount, "/proc/kcore", 0},
    {"umount-usr", unmount, "/usr", 0},
    {"umount-dev", unmount, "/dev", 0},
    {"open-tree", new_mount_api, NULL, SYS_open_tree},
    {"fsopen", new_mount_api, NULL, SYS_fsopen},
    {"fspick", new_mount_api, NULL, SYS_fspick},
    {"move-mount", new_mount_api, NULL, SYS_move_mount},
    {"mount-setattr", new_mount_api, NULL, SYS_mount_setattr},
    {"unshare-user", unshare_ns, NULL, CLONE_NEWUSER},
    {"unshare-mount", unshare_ns, NULL, CLONE_NEWNS},
    {"unshare-net", unshare_ns, NULL, CLONE_NEWNET},
    {"unshare-pid", unshare_ns, NULL, CLONE_NEWPID},
    {"unshare-ipc", unshare_ns, NULL, CLONE_NEWIPC},
    {"unshare-uts", unshare_ns, NULL, CLONE_NEWUTS},
    {"unshare-cgroup", unshare_ns, NULL, CLONE_NEWCGROUP},
    {"unshare-time", unshare_ns, NULL, 0x80 /* CLONE_NEWTIME */},
    {"clone-user", clone_ns, NULL, CLONE_NEWUSER},
    {"clone-user-high-bits", clone_ns, NULL, CLONE_NEWUSER | (1L << 40)},
    {"clone3-user", clone3_ns, NULL, CLONE_NEWUSER},
    {"clone3-user-and-net", clone3_ns, NULL, CLONE_NEWUSER | CLONE_NEWNET},
    {"root-in-user-namespace", become_root_inside, NULL, 0},
    {"setns-init-mount", enter_ns, "/proc/1/ns/mnt", 0},
    {"setns-init-user", enter_ns, "/proc/1/ns/user", 0},
    {"setns-init-net", enter_ns, "/proc/1/ns/net", 0},
    {"setns-pidfd-init", enter_ns_of_pid, NULL, CLONE_NEWNET},
    {"setns-pidfd-victim", enter_ns_of_pid, "VICTIM_PID", CLONE_NEWNS},
    {"setns-pidfd-neighbour", enter_ns_of_pid, "NEIGHBOUR_PID", CLONE_NEWNET},
    {"open-by-handle", open_by_handle, NULL, 0},
    {"name-to-handle", get_handle, NULL, 0},
};
const struct attempt_group escape_group = {"escape", list, sizeof(list) / sizeof(*list)};
