/* /dev of sandboxes: five devices of the host that keep nothing, and links. No tty, no ptmx. They
 * are the only mounts without nodev, but for devices that are asked for (plan.c); each is checked
 * to be the device that its name says, since what is bound from a path could be anything
 * (CVE-2025-31133). */
#include "root.h"

#include "common/cleanup.h"
#include "sandbox/filesystems.h"
#include "sandbox/paths.h"
#include "sandbox/plan.h"
#include "sandbox/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const struct {
    const char *source, *path;
    unsigned minor; /* of major 1 */
} devices[] = {
    {"/dev/null", "/dev/null", 3},       {"/dev/zero", "/dev/zero", 5},
    {"/dev/full", "/dev/full", 7},       {"/dev/random", "/dev/random", 8},
    {"/dev/urandom", "/dev/urandom", 9}, {"/dev/null", ROOT_NULL, 3},
};

static const struct {
    const char *path, *target;
} links[] = {
    {"/dev/fd", "/proc/self/fd"},
    {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"},
    {"/dev/stderr", "/proc/self/fd/2"},
};

/* Read-only: a device can be written all the same, but the inode, which is the host's, not touched
 * (whoever may write a file may set its times). */
static int add_device(int root_fd, size_t i, struct err *err)
{
    _cleanup_close_ int fd =
        plan_open_source(AT_FDCWD, devices[i].source, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, err);
    if (fd < 0)
        return fd;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "stat %s", devices[i].source);
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, devices[i].minor))
        return err_set(err, ENODEV, "%s of this machine is not the character device 1:%u",
                       devices[i].source, devices[i].minor);
    return root_mount(root_fd, steal_fd(&fd), devices[i].path, err);
}

int root_devices(int root_fd, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(devices) / sizeof(*devices); i++)
        r = add_device(root_fd, i, err);
    for (size_t i = 0; r == 0 && i < sizeof(links) / sizeof(*links); i++)
        r = root_link(root_fd, links[i].target, links[i].path, err);
    return r;
}

int root_move_devices(int copy_fd, int root_fd, struct err *err)
{
    for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
        const char *path = devices[i].path + 1;
        if (move_mount(copy_fd, path, root_fd, path, 0) < 0)
            return err_errno(err, "mount %s", devices[i].path);
    }
    return 0;
}

/* ---- of a sandbox that has more */

#define OWN_DEV_INODES 128
#define DEV_LEN (sizeof("/dev") - 1)

/* What is mounted in the old /dev goes to the new one, by descriptor: it is covered by then. */
struct moved {
    const char *path;
    int fd;
};

static bool is_in_dev(const char *path)
{
    return strncmp(path, "/dev/", DEV_LEN + 1) == 0;
}

static int own_places(int dev_fd, const struct moved *moved, size_t n, const struct plan *p,
                      struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = path_make(dev_fd, moved[i].path + DEV_LEN, strcmp(moved[i].path, "/dev/shm") == 0, err);
    for (size_t i = 0; r == 0 && i < sizeof(links) / sizeof(*links); i++)
        if (symlinkat(links[i].target, dev_fd, links[i].path + DEV_LEN + 1) < 0)
            r = err_errno(err, "link %s", links[i].path);
    for (int i = 0; r == 0 && i < p->n; i++)
        if (p->mounts[i].device)
            r = path_make(dev_fd, p->mounts[i].dst + DEV_LEN, false, err);
    return r;
}

int root_own_dev(int root_fd, const struct plan *p, struct err *err)
{
    struct moved moved[sizeof(devices) / sizeof(*devices) + 1];
    size_t n = 0;
    moved[n++].path = "/dev/shm";
    for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++)
        if (is_in_dev(devices[i].path))
            moved[n++].path = devices[i].path;
    int r = 0;
    for (size_t i = 0; i < n; i++) {
        moved[i].fd = open_tree(root_fd, moved[i].path + 1, OPEN_TREE_CLOEXEC);
        if (moved[i].fd < 0 && r == 0)
            r = err_errno(err, "look at %s", moved[i].path);
    }
    _cleanup_close_ int dev_fd = r < 0 ? -1 : fs_tmpfs(65536, OWN_DEV_INODES, "0755", err);
    if (r == 0)
        r = dev_fd < 0 ? dev_fd : own_places(dev_fd, moved, n, p, err);
    if (r == 0)
        r = path_attach(dev_fd, root_fd, "/dev", err);
    for (size_t i = 0; i < n; i++) {
        if (r == 0)
            r = path_attach(moved[i].fd, root_fd, moved[i].path, err);
        close_fd(&moved[i].fd);
    }
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC};
    if (r == 0 && mount_setattr(dev_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        r = err_errno(err, "close /dev for writing");
    return r;
}
