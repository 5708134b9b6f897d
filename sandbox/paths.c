/* See paths.h. */
#include "paths.h"

#include "common/cleanup.h"
#include "sandbox/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

int path_open(int root_fd, const char *path)
{
    return sys_openat2(root_fd, path, O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

/* The folder above was looked up without links a moment ago, and nobody else is here. */
static int make_one(int root_fd, const char *path, bool is_dir, struct err *err)
{
    if (is_dir)
        return mkdirat(root_fd, path + 1, 0755) < 0 ? err_errno(err, "create %s", path) : 0;
    int fd = openat(root_fd, path + 1, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
    if (fd < 0)
        return err_errno(err, "create %s", path);
    close(fd);
    return 0;
}

int path_make(int root_fd, const char *path, bool is_dir, struct err *err)
{
    char part[256];
    int fd = path_open(root_fd, path);
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    for (const char *slash = path; slash;) {
        const char *next = strchr(slash + 1, '/');
        int len = next ? (int)(next - path) : (int)strlen(path);
        if (snprintf(part, sizeof(part), "%.*s", len, path) >= (int)sizeof(part))
            return err_set(err, ENAMETOOLONG, "path %.60s... is too long", path);
        slash = next;
        if ((fd = path_open(root_fd, part)) >= 0) {
            close(fd);
            continue;
        }
        if (errno != ENOENT)
            return err_errno(err, "look up %s", part);
        int r = make_one(root_fd, part, next || is_dir, err);
        if (r < 0)
            return r;
    }
    return 0;
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
