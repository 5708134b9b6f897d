/* /dev of a sandbox: five devices of the host that keep nothing, and links. No tty, no ptmx. They
 * are the only mounts without nodev; each is checked to be the device that its name says, since
 * what is bound from a path could be anything (CVE-2025-31133). */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const struct {
    const char *path;
    unsigned major, minor;
} devices[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9},
};

static const struct {
    const char *dst, *target;
} links[] = {
    {"/dev/fd", "/proc/self/fd"},
    {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"},
    {"/dev/stderr", "/proc/self/fd/2"},
};

static int check_device(int fd, size_t i, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "stat %s", devices[i].path);
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(devices[i].major, devices[i].minor))
        return err_set(err, ENODEV, "%s of this machine is not the character device %u:%u",
                       devices[i].path, devices[i].major, devices[i].minor);
    return 0;
}

int plan_devices(struct plan *p, struct err *err)
{
    const uint64_t attributes = MOUNT_ATTR_NOEXEC;
    int r;
    for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++)
        if ((r = plan_mount(p, AT_FDCWD, devices[i].path, devices[i].path, attributes, err)) < 0 ||
            (r = check_device(p->entries[p->n - 1].fd, i, err)) < 0)
            return r;
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
        if ((r = plan_link(p, links[i].target, links[i].dst, err)) < 0)
            return r;
    return 0;
}
