/* See plan.h. */
#include "plan.h"

#include "common/cleanup.h"
#include "sandbox/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define SOURCE_READ_ONLY (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV)

void plan_init(struct plan *p)
{
    p->n = 0;
    p->app_fd = -1;
    p->text_len = 0;
}

void plan_close(struct plan *p)
{
    for (int i = 0; i < p->n; i++)
        close_fd(&p->entries[i].fd);
    close_fd(&p->app_fd);
    p->n = 0;
}

static struct plan_entry *plan_add(struct plan *p, enum plan_kind kind, const char *dst,
                                   struct err *err)
{
    if (p->n == PLAN_MAX) {
        err_set(err, E2BIG, "more than %d entries are needed in the root", PLAN_MAX);
        return NULL;
    }
    struct plan_entry *e = &p->entries[p->n];
    if ((size_t)snprintf(e->dst, sizeof(e->dst), "%s", dst) >= sizeof(e->dst)) {
        err_set(err, ENAMETOOLONG, "path %.60s... is too long", dst);
        return NULL;
    }
    e->kind = kind;
    e->fd = -1;
    p->n++;
    return e;
}

static const char *plan_text(struct plan *p, const char *fmt, va_list ap, struct err *err)
{
    size_t room = sizeof(p->text) - p->text_len;
    int n = vsnprintf(p->text + p->text_len, room, fmt, ap);
    if (n < 0 || (size_t)n >= room) {
        err_set(err, E2BIG, "the texts of the root take more than %d bytes", PLAN_TEXT_BYTES);
        return NULL;
    }
    const char *text = p->text + p->text_len;
    p->text_len += (size_t)n + 1;
    return text;
}

int plan_dir(struct plan *p, mode_t mode, const char *dst, struct err *err)
{
    struct plan_entry *e = plan_add(p, PLAN_DIR, dst, err);
    if (!e)
        return -E2BIG;
    e->mode = mode;
    return 0;
}

static int add_text(struct plan *p, enum plan_kind kind, const char *dst, struct err *err,
                    const char *fmt, va_list ap)
{
    struct plan_entry *e = plan_add(p, kind, dst, err);
    if (!e)
        return -E2BIG;
    e->text = plan_text(p, fmt, ap, err);
    return e->text ? 0 : -E2BIG;
}

static int add_text_of(struct plan *p, enum plan_kind kind, const char *dst, struct err *err,
                       const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = add_text(p, kind, dst, err, fmt, ap);
    va_end(ap);
    return r;
}

int plan_link(struct plan *p, const char *target, const char *dst, struct err *err)
{
    return add_text_of(p, PLAN_LINK, dst, err, "%s", target);
}

int plan_file(struct plan *p, const char *dst, struct err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = add_text(p, PLAN_FILE, dst, err, fmt, ap);
    va_end(ap);
    return r;
}

/* A detached, private copy of the mount at `path`, with what is mounted below it. */
static int open_source(int dirfd, const char *path, uint64_t attributes, struct err *err)
{
    _cleanup_close_ int fd =
        open_tree(dirfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (fd < 0)
        return err_errno(err, "open %s", path);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | attributes,
                              .propagation = MS_PRIVATE};
    if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return err_errno(err, "set the mount attributes of %s", path);
    return steal_fd(&fd);
}

int plan_mount(struct plan *p, int dirfd, const char *path, const char *dst, uint64_t attributes,
               struct err *err)
{
    int fd = open_source(dirfd, path, attributes, err);
    if (fd < 0)
        return fd;
    struct stat st;
    struct plan_entry *e;
    if (fstat(fd, &st) < 0) {
        int r = err_errno(err, "stat %s", path);
        close(fd);
        return r;
    }
    if (!(e = plan_add(p, PLAN_MOUNT, dst, err))) {
        close(fd);
        return -E2BIG;
    }
    e->fd = fd;
    e->is_dir = S_ISDIR(st.st_mode);
    e->dev = st.st_dev;
    e->ino = st.st_ino;
    return 0;
}

/* One entry of the root: a link is made again, a folder becomes a read-only source. */
static int plan_system_entry(struct plan *p, int root_fd, const char *name, struct err *err)
{
    struct stat st;
    if (fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_errno(err, "stat /%s", name);
    char dst[256];
    if (snprintf(dst, sizeof(dst), "/%s", name) >= (int)sizeof(dst))
        return err_set(err, ENAMETOOLONG, "/%.60s... is too long", name);
    if (S_ISLNK(st.st_mode)) {
        char target[PATH_MAX];
        ssize_t n = readlinkat(root_fd, name, target, sizeof(target) - 1);
        if (n < 0)
            return err_errno(err, "read the link /%s", name);
        target[n] = '\0';
        return plan_link(p, target, dst, err);
    }
    if (!S_ISDIR(st.st_mode))
        return 0;
    return plan_mount(p, root_fd, name, dst, SOURCE_READ_ONLY, err);
}

/* Of the host only what a distribution owns, and nothing of its people. */
static int plan_host_root(struct plan *p, int root_fd, struct err *err)
{
    static const char *const names[] = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(names) / sizeof(*names); i++)
        r = plan_system_entry(p, root_fd, names[i], err);
    return r;
}

/* Of a root that was made for this (debootstrap, an image): every folder, but those that each
 * sandbox has of its own. */
static int plan_dir_root(struct plan *p, int root_fd, struct err *err)
{
    static const char *const own[] = {"proc", "sys", "dev",  "tmp",   "run", "home", "data",
                                      "etc",  "job", "boot", "media", "mnt", "var"};
    int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open the root");
    _cleanup_closedir_ DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return err_errno(err, "list the root");
    }
    struct dirent *e;
    while ((e = readdir(d))) {
        bool skip = e->d_name[0] == '.';
        for (size_t i = 0; !skip && i < sizeof(own) / sizeof(*own); i++)
            skip = strcmp(e->d_name, own[i]) == 0;
        int r = skip ? 0 : plan_system_entry(p, root_fd, e->d_name, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int plan_asked(struct plan *p, const struct sandbox_spec *s, struct err *err)
{
    int r = 0;
    for (int i = 0; r == 0 && i < s->n_mounts; i++) {
        const struct spec_mount *m = &s->mounts[i];
        r = plan_mount(p, AT_FDCWD, m->src, m->dst,
                       m->writable ? MOUNT_ATTR_NODEV : SOURCE_READ_ONLY, err);
    }
    return r;
}

int plan_make(struct plan *p, const struct sandbox_spec *s, struct err *err)
{
    bool host = strcmp(s->start.root, "host") == 0;
    _cleanup_close_ int root_fd =
        open(host ? "/" : s->start.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return err_errno(err, "open the root %s", s->start.root);
    int r = host ? plan_host_root(p, root_fd, err) : plan_dir_root(p, root_fd, err);
    if (r < 0)
        return r;
    if ((r = plan_dir(p, 0755, "/run", err)) < 0 || (r = plan_dir(p, 0755, "/var", err)) < 0 ||
        (r = plan_link(p, "/tmp", "/var/tmp", err)) < 0)
        return r;
    if ((r = plan_etc(p, root_fd, s->start.hostname, err)) < 0)
        return r;
    if ((r = plan_devices(p, err)) < 0)
        return r;
    if (s->start.app[0]) {
        p->app_fd = open_source(AT_FDCWD, s->start.app, SOURCE_READ_ONLY, err);
        if (p->app_fd < 0)
            return p->app_fd;
    }
    return plan_asked(p, s, err);
}
