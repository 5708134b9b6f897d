/* /dev of sandboxes: five devices of the host that keep nothing, and links. No tty, no ptmx. They
 * are the only mounts without nodev; each is checked to be the device that its name says, since
 * what is bound from a path could be anything (CVE-2025-31133). */
#include "root.h"

#include "common/cleanup.h"
#include "sandbox/plan.h"
#include "sandbox/mount_api.h"

#include <errno.h>
#include <fcntl.h>
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
