/* See paths.h. */
#include "paths.h"

#include "common/cleanup.h"
#include "sandbox/sys.h"
#include "sandbox/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int path_open(int root_fd, const char *path)
{
    return sys_openat2(root_fd, path, O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

/* In a folder that was looked up without links a moment ago; nobody else is here. */
static int make_one(int dirfd, const char *name, bool is_dir)
{
    if (is_dir)
        return mkdirat(dirfd, name, 0755) < 0 ? -errno : 0;
    int fd = openat(dirfd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* The folder that `path` lies in, made where it is missing: a descriptor. */
static int open_parent(int root_fd, const char *path, const char *slash, struct err *err)
{
    char parent[256];
    if (snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path) >=
        (int)sizeof(parent))
        return err_set(err, ENAMETOOLONG, "path %.60s... is too long", path);
    int fd = path_open(root_fd, parent);
    if (fd >= 0)
        return fd;
    if (errno != ENOENT)
        return err_errno(err, "look up %s", parent);
    int r = path_make(root_fd, parent, true, err);
    if (r < 0)
        return r;
    fd = path_open(root_fd, parent);
    return fd < 0 ? err_errno(err, "look up %s", parent) : fd;
}

int path_make(int root_fd, const char *path, bool is_dir, struct err *err)
{
    const char *slash = strrchr(path, '/');
    _cleanup_close_ int parent = open_parent(root_fd, path, slash, err);
    if (parent < 0)
        return parent;
    int r = slash[1] ? make_one(parent, slash + 1, is_dir) : 0;
    if (r == 0)
        return 0;
    /* it may be there already, also where nothing can be made; but not as a link */
    _cleanup_close_ int there = path_open(root_fd, path);
    if (there >= 0)
        return 0;
    return r == -EEXIST ? err_errno(err, "look up %s", path)
                        : err_set(err, -r, "create %s: %s", path, strerror(-r));
}

int path_attach(int mount_fd, int root_fd, const char *path, struct err *err)
{
    _cleanup_close_ int place = path_open(root_fd, path);
    if (place < 0)
        return err_errno(err, "look up %s", path);
    if (move_mount(mount_fd, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return err_errno(err, "mount at %s", path);
    return 0;
}
