#include "usage.h"

#include "cleanup.h"
#include "quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    dev_t dev;
    uint64_t stop_inodes;
    uint32_t project; /* to give everything to, or 0 */
    uint64_t bytes, inodes;
    double shares; /* of inodes that have several names */
    double shared_bytes;
    bool names; /* each name counts as a file */
    bool at_least;
};

/* Each name of a file adds its share, so that all of them together make one. They all lie in the
 * tree, or else that was said: no name of a tenant's file can be elsewhere by itself. */
static void count(struct walk *w, const struct stat *st)
{
    uint64_t bytes = (uint64_t)st->st_blocks * 512;
    if (w->names || S_ISDIR(st->st_mode) || st->st_nlink <= 1) {
        w->bytes += bytes;
        w->inodes++;
    } else {
        w->shared_bytes += (double)bytes / (double)st->st_nlink;
        w->shares += 1.0 / (double)st->st_nlink;
    }
}

static bool vanished(int code)
{
    return code == ENOENT || code == ENOTDIR || code == ELOOP;
}

/* Links, sockets and devices have no descriptor to be given by: each is one inode without bytes. */
static int give_file(const struct walk *w, int dirfd, const char *name, const struct stat *st,
                     struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return 0;
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return vanished(errno) ? 0 : err_errno(err, "cannot open a file to give it to a project");
    int r = quota_give(fd, w->project, err);
    return r < 0 ? r : 0;
}

static int walk_folder(struct walk *w, int own, unsigned depth, struct err *err);

static int visit(struct walk *w, int dirfd, const char *name, unsigned depth, struct err *err)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return vanished(errno) ? 0 : err_errno(err, "cannot look at a file to count it");
    if (st.st_dev != w->dev)
        return 0;
    count(w, &st);
    if (!S_ISDIR(st.st_mode))
        return w->project ? give_file(w, dirfd, name, &st, err) : 0;
    if (depth == USAGE_MAX_DEPTH) {
        w->at_least = true;
        return 0;
    }
    int sub = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub < 0)
        return vanished(errno) ? 0 : err_errno(err, "cannot open a folder to count it");
    return walk_folder(w, sub, depth + 1, err);
}

/* Closes `own`. The folder is given first: what is made in it from then on need not be seen. */
static int walk_folder(struct walk *w, int own, unsigned depth, struct err *err)
{
    struct stat st;
    int r = fstat(own, &st) < 0 ? err_errno(err, "cannot look at a folder") : 0;
    if (r == 0 && st.st_dev != w->dev) { /* it was exchanged meanwhile */
        close(own);
        return 0;
    }
    if (r == 0 && w->project && (r = quota_give(own, w->project, err)) > 0)
        r = 0;
    _cleanup_closedir_ DIR *d = r == 0 ? fdopendir(own) : NULL;
    if (!d) {
        if (r == 0)
            r = err_errno(err, "cannot read a folder to count it");
        close(own);
        return r;
    }
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e)
            return errno ? err_errno(err, "cannot read a folder to count it") : 0;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (w->stop_inodes && w->inodes + (uint64_t)w->shares > w->stop_inodes) {
            w->at_least = true;
            return 0;
        }
        if ((r = visit(w, dirfd(d), e->d_name, depth, err)) < 0)
            return r;
    }
}

static int walk_tree(struct walk *w, const char *path, struct err *err)
{
    _cleanup_close_ int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (top < 0 || fstat(top, &st) < 0)
        return err_errno(err, "cannot open %s", path);
    w->dev = st.st_dev;
    count(w, &st);
    return walk_folder(w, steal_fd(&top), 0, err);
}

int usage_of_tree(const char *path, uint64_t stop_inodes, struct usage *ret, struct err *err)
{
    struct walk w = {.stop_inodes = stop_inodes};
    int r = walk_tree(&w, path, err);
    if (r == 0)
        *ret = (struct usage){w.bytes + (uint64_t)(w.shared_bytes + 0.5),
                              w.inodes + (uint64_t)(w.shares + 0.5), w.at_least};
    return r;
}

int usage_of_names(const char *path, struct usage *ret, struct err *err)
{
    struct walk w = {.names = true};
    int r = walk_tree(&w, path, err);
    if (r == 0)
        *ret = (struct usage){w.bytes, w.inodes, w.at_least};
    return r;
}

int usage_give_tree(const char *path, uint32_t project, struct err *err)
{
    struct walk w = {.project = project};
    return walk_tree(&w, path, err);
}
