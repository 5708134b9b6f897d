/* See filesystems.h. */
#include "filesystems.h"

#include "common/cleanup.h"
#include "sandbox/mount_api.h"

#include <errno.h>
#include <stdio.h>

static int set_option(int fs, const char *key, const char *value, struct err *err)
{
    if (fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0)
        return err_errno(err, "set %s=%s", key, value);
    return 0;
}

static int create(int fs, uint64_t attributes, struct err *err)
{
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_errno(err, "create the file system");
    int fd = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
    return fd < 0 ? err_errno(err, "make a mount of the file system") : fd;
}

uint64_t fs_inodes_for(uint64_t bytes)
{
    uint64_t n = bytes / 4096;
    return n < 1024 ? 1024 : n > 262144 ? 262144 : n;
}

int fs_tmpfs(uint64_t bytes, uint64_t inodes, const char *mode, struct err *err)
{
    _cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
    if (fs < 0)
        return err_errno(err, "open a tmpfs");
    char size[24], count[24];
    snprintf(size, sizeof(size), "%llu", (unsigned long long)bytes);
    snprintf(count, sizeof(count), "%llu", (unsigned long long)inodes);
    int r;
    if ((r = set_option(fs, "size", size, err)) < 0 ||
        (r = set_option(fs, "nr_inodes", count, err)) < 0 ||
        (r = set_option(fs, "mode", mode, err)) < 0)
        return r;
    return create(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);
}

int fs_proc(struct err *err)
{
    _cleanup_close_ int fs = fsopen("proc", FSOPEN_CLOEXEC);
    if (fs < 0)
        return err_errno(err, "open a procfs");
    (void)fsconfig(fs, FSCONFIG_SET_STRING, "hidepid", "invisible", 0);
    return create(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);
}

int fs_proc_show_to_group_0(int proc_fd, struct err *err)
{
    _cleanup_close_ int fs = fspick(proc_fd, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);
    if (fs < 0)
        return err_errno(err, "pick the procfs");
    int r = set_option(fs, "gid", "0", err);
    if (r == 0 && fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
        r = err_errno(err, "show all of the procfs to group 0");
    return r;
}

int fs_overlay_over(const char *lower, struct err *err)
{
    _cleanup_close_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);
    if (fs < 0)
        return err_errno(err, "open an overlay file system (CONFIG_OVERLAY_FS)");
    int r;
    if ((r = set_option(fs, "lowerdir", lower, err)) < 0 ||
        (r = set_option(fs, "upperdir", "upper", err)) < 0 ||
        (r = set_option(fs, "workdir", "work", err)) < 0)
        return r;
    if (fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
        return err_errno(err, "overlay in a user namespace (Linux 5.11 or newer)");
    return create(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);
}

int fs_overlay(struct err *err)
{
    return fs_overlay_over("lower", err);
}

int fs_overlay_read_only(const char *lower, const char *empty, struct err *err)
{
    _cleanup_close_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);
    if (fs < 0)
        return err_errno(err, "open an overlay file system (CONFIG_OVERLAY_FS)");
    char layers[320];
    snprintf(layers, sizeof(layers), "%s:%s", lower, empty);
    int r = set_option(fs, "lowerdir", layers, err);
    if (r < 0)
        return r;
    if (fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
        return err_errno(err, "overlay in a user namespace (Linux 5.11 or newer)");
    return create(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY, err);
}
