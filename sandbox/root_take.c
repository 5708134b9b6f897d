/* Copies what sandboxes see of another /etc into their root: a bind of the original would share its
 * inodes with the host, and be one more mount in each sandbox. */
#include "root.h"

#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define MAX_DEPTH 8 /* folders in folders; what lies deeper is left out */

static int take_entry(int from, const char *name, int to, int depth, struct err *err);

static int take_link(int from, const char *name, int to, struct err *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);
    if (n < 0)
        return err_errno(err, "read the link %s", name);
    target[n] = '\0';
    return symlinkat(target, to, name) < 0 ? err_errno(err, "link %s", name) : 0;
}

static int take_file(int from, const char *name, int to, struct err *err)
{
    _cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0)
        return err_errno(err, "open %s", name);
    _cleanup_close_ int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (out < 0)
        return err_errno(err, "create %s", name);
    ssize_t n;
    do
        n = sendfile(out, in, NULL, 1 << 20);
    while (n > 0);
    return n < 0 ? err_errno(err, "copy %s", name) : 0;
}

static int take_folder(int from, const char *name, int to, int depth, struct err *err)
{
    int fd = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open %s", name);
    _cleanup_closedir_ DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return err_errno(err, "list %s", name);
    }
    if (mkdirat(to, name, 0755) < 0)
        return err_errno(err, "create %s", name);
    _cleanup_close_ int copy = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (copy < 0)
        return err_errno(err, "open the copy of %s", name);
    int r = 0;
    struct dirent *e;
    while (r == 0 && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = take_entry(dirfd(d), e->d_name, copy, depth + 1, err);
    return r;
}

/* What only some may read on the host stays there: we may be root. */
static int take_entry(int from, const char *name, int to, int depth, struct err *err)
{
    struct stat st;
    if (depth > MAX_DEPTH || fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISLNK(st.st_mode))
        return take_link(from, name, to, err);
    if (S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
        return take_file(from, name, to, err);
    if (S_ISDIR(st.st_mode) && (st.st_mode & S_IROTH) && (st.st_mode & S_IXOTH))
        return take_folder(from, name, to, depth, err);
    return 0;
}

/* A link to what is there anyway; others would dangle. */
static int take_top_link(int from, const char *name, int to, struct err *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);
    if (n < 0)
        return err_errno(err, "read the link %s", name);
    target[n] = '\0';
    if (strncmp(target, "/usr/", 5) != 0 || symlinkat(target, to, name) == 0)
        return 0;
    return err_errno(err, "link %s", name);
}

int root_take(int etc_fd, const char *path, int to, struct err *err)
{
    struct stat st;
    if (fstatat(etc_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    const char *slash = strrchr(path, '/');
    if (!slash)
        return S_ISLNK(st.st_mode) ? take_top_link(etc_fd, path, to, err)
                                   : take_entry(etc_fd, path, to, 0, err);
    char parent[128];
    snprintf(parent, sizeof(parent), "/%.*s", (int)(slash - path), path);
    int r = root_dir(to, parent, err);
    if (r < 0)
        return r;
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    _cleanup_close_ int inner_to = openat(to, parent + 1, flags | O_NOFOLLOW);
    if (inner_to < 0)
        return err_errno(err, "open the new /etc%s", parent);
    _cleanup_close_ int inner = openat(etc_fd, parent + 1, flags);
    return inner < 0 ? 0 : take_entry(inner, slash + 1, inner_to, 0, err);
}
