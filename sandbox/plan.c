/* See plan.h. */
#include "plan.h"

#include "common/cleanup.h"
#include "common/gpus.h"
#include "sandbox/root.h"
#include "sandbox/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void plan_init(struct plan *p)
{
    p->app_fd = -1;
    p->n = p->n_links = 0;
}

void plan_close(struct plan *p)
{
    close_fd(&p->app_fd);
    while (p->n > 0) {
        close_fd(&p->mounts[--p->n].fd);
        close_fd(&p->mounts[p->n].base_fd);
    }
}

int plan_open_source(int dirfd, const char *path, uint64_t attributes, struct err *err)
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

/* The root's own folder, as it is outside: an overlay of an overlay may be one too many. Its /etc
 * is the one that was made for sandboxes. -1 where the root has none. */
static int open_base(struct root_cache *roots, const char *root, const char *dst, int *ret,
                     struct err *err)
{
    char path[1300];
    struct stat st;
    *ret = -1;
    if (strcmp(dst, "/etc") == 0) {
        *ret = root_open_etc(roots, root, err);
        return *ret < 0 ? *ret : 0;
    }
    snprintf(path, sizeof(path), "%s%s", strcmp(root, "host") == 0 ? "" : root, dst);
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    *ret = plan_open_source(AT_FDCWD, path, MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY, err);
    return *ret < 0 ? *ret : 0;
}

/* The folder to read that was to be mounted there, and that another is laid over. */
static struct plan_mount *find_below(struct plan *p, const struct spec_mount *asked)
{
    for (int i = 0; asked->over && i < p->n; i++) {
        struct plan_mount *m = &p->mounts[i];
        if (strcmp(m->dst, asked->dst) == 0 && m->is_dir && !m->writable && !m->copied &&
            m->base_fd < 0)
            return m;
    }
    return NULL;
}

/* As the devices that every sandbox has: read-only keeps the inode, which is the host's, from being
 * touched. */
static int add_device(struct plan *p, struct root_cache *roots, const char *root,
                      const struct spec_mount *asked, struct err *err)
{
    int r = gpu_usable(asked->src, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd =
        plan_open_source(AT_FDCWD, asked->src, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, err);
    struct stat st;
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "stat %s", asked->src);
    if (!S_ISCHR(st.st_mode))
        return err_set(err, ENODEV, "%s is not a character device", asked->src);
    if (p->n == SPEC_MAX_MOUNTS)
        return err_set(err, E2BIG, "more than %d mounts", SPEC_MAX_MOUNTS);
    struct plan_mount *m = &p->mounts[p->n++];
    *m = (struct plan_mount){.device = true, .dev = st.st_dev, .ino = st.st_ino, .base_fd = -1};
    snprintf(m->dst, sizeof(m->dst), "%s", asked->dst);
    m->fd = steal_fd(&fd);
    int before = p->n;
    r = plan_sysfs(p, st.st_rdev, err);
    return r == 0 && p->n > before ? root_make_place(roots, root, "/sys", true, err) : r;
}

static int add_mount(struct plan *p, struct root_cache *roots, const struct sandbox_spec *s,
                     const struct spec_mount *asked, struct err *err)
{
    uint64_t attributes = MOUNT_ATTR_NODEV | (asked->writable ? 0 : MOUNT_ATTR_RDONLY);
    _cleanup_close_ int fd = plan_open_source(AT_FDCWD, asked->src, attributes, err);
    if (fd < 0)
        return fd;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "stat %s", asked->src);
    struct plan_mount *below = S_ISDIR(st.st_mode) ? find_below(p, asked) : NULL;
    if (below) { /* both become one mount, in its place */
        below->base_fd = steal_fd(&below->fd);
        below->fd = steal_fd(&fd);
        below->dev = st.st_dev;
        below->ino = st.st_ino;
        return 0;
    }
    if (p->n == SPEC_MAX_MOUNTS)
        return err_set(err, E2BIG, "more than %d mounts", SPEC_MAX_MOUNTS);
    struct plan_mount *m = &p->mounts[p->n];
    snprintf(m->dst, sizeof(m->dst), "%s", asked->dst);
    m->is_dir = S_ISDIR(st.st_mode);
    m->writable = asked->writable;
    m->copied = asked->copied;
    m->device = m->sysfs = false;
    if (m->copied && !m->is_dir)
        return err_set(err, ENOTDIR, "%s is no folder", asked->src);
    m->dev = st.st_dev;
    m->ino = st.st_ino;
    int r = root_make_place(roots, s->start.root, asked->dst, m->is_dir, err);
    if (r < 0)
        return r;
    m->base_fd = -1;
    if (asked->over && m->is_dir &&
        (r = open_base(roots, s->start.root, asked->dst, &m->base_fd, err)) < 0)
        return r;
    m->fd = steal_fd(&fd);
    p->n++;
    return 0;
}

int plan_make(struct plan *p, struct root_cache *roots, const struct sandbox_spec *s,
              struct err *err)
{
    int r = 0;
    for (int i = 0; r == 0 && i < s->n_mounts; i++)
        r = s->mounts[i].device ? add_device(p, roots, s->start.root, &s->mounts[i], err)
                                : add_mount(p, roots, s, &s->mounts[i], err);
    if (r == 0 && s->start.app[0]) {
        p->app_fd =
            plan_open_source(AT_FDCWD, s->start.app, MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY, err);
        r = p->app_fd < 0 ? p->app_fd : 0;
    }
    return r;
}
