/* What programs of a GPU's driver read of /sys, in a sandbox that was given the device: the folder
 * in which the kernel describes it, and that of the card below which it lies; ROCm finds its cards
 * by those (/sys/devices/virtual/kfd/kfd/topology, libdrm's /sys/dev/char/MAJOR:MINOR). Nothing
 * else of /sys is there, and other sandboxes have none. */
#include "root.h"

#include "common/cleanup.h"
#include "sandbox/filesystems.h"
#include "sandbox/mount_api.h"
#include "sandbox/paths.h"
#include "sandbox/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SYS_LEN (sizeof("/sys") - 1)
#define DEVICES "/sys/devices/"

/* ---- the starter's part */

static bool resolve(const char *path, char out[PATH_MAX])
{
    return realpath(path, out) && strncmp(out, DEVICES, sizeof(DEVICES) - 1) == 0 &&
           strlen(out) < sizeof(((struct plan_mount *)0)->dst);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void add_link(struct plan *p, const char *path, const char *target)
{
    if (p->n_links == PLAN_MAX_LINKS || strlen(path) >= sizeof(p->links[0].path))
        return;
    struct plan_link *l = &p->links[p->n_links++];
    snprintf(l->path, sizeof(l->path), "%s", path);
    snprintf(l->target, sizeof(l->target), "%s", target);
}

/* By its class or bus: /sys/class/drm/renderD128, /sys/bus/pci/devices/0000:03:00.0. */
static void add_known_link(struct plan *p, const char *dir)
{
    char name[PATH_MAX + 16], link[PATH_MAX], subsystem[PATH_MAX];
    snprintf(name, sizeof(name), "%s/subsystem", dir);
    if (!realpath(name, subsystem))
        return;
    bool bus = strncmp(subsystem, "/sys/bus/", 9) == 0;
    if (!bus && strncmp(subsystem, "/sys/class/", 11) != 0)
        return;
    int n =
        snprintf(link, sizeof(link), "%s%s/%s", subsystem, bus ? "/devices" : "", last_part(dir));
    if (n < (int)sizeof(link))
        add_link(p, link, dir);
}

static int add_folder(struct plan *p, const char *dir, struct err *err)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->mounts[i].dst, dir) == 0)
            return 0;
    if (p->n == SPEC_MAX_MOUNTS)
        return err_set(err, E2BIG, "more than %d mounts", SPEC_MAX_MOUNTS);
    _cleanup_close_ int fd = plan_open_source(
        AT_FDCWD, dir, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, err);
    struct stat st;
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "stat %s", dir);
    struct plan_mount *m = &p->mounts[p->n++];
    *m = (struct plan_mount){
        .is_dir = true, .sysfs = true, .dev = st.st_dev, .ino = st.st_ino, .base_fd = -1};
    snprintf(m->dst, sizeof(m->dst), "%s", dir);
    m->fd = steal_fd(&fd);
    return 0;
}

int plan_sysfs(struct plan *p, dev_t device, struct err *err)
{
    char link[64], path[PATH_MAX + 16], dir[PATH_MAX], card[PATH_MAX];
    snprintf(link, sizeof(link), "/sys/dev/char/%u:%u", major(device), minor(device));
    if (!resolve(link, dir)) /* NVIDIA's have none */
        return 0;
    add_link(p, link, dir);
    add_known_link(p, dir);
    snprintf(path, sizeof(path), "%s/device", dir);
    if (!resolve(path, card))
        return add_folder(p, dir, err);
    add_known_link(p, card);
    int r = add_folder(p, card, err);
    bool below = strncmp(dir, card, strlen(card)) == 0 && dir[strlen(card)] == '/';
    return r < 0 || below ? r : add_folder(p, dir, err);
}

/* ---- the sandbox's */

static int make_link(int fs, const struct plan_link *l, struct err *err)
{
    char parent[sizeof(l->path)];
    snprintf(parent, sizeof(parent), "%s", l->path + SYS_LEN);
    *strrchr(parent, '/') = '\0';
    int r = path_make(fs, parent, true, err);
    if (r == 0 && symlinkat(l->target, fs, l->path + SYS_LEN + 1) < 0 && errno != EEXIST)
        r = err_errno(err, "link %s", l->path);
    return r;
}

int root_own_sys(int root_fd, const struct plan *p, struct err *err)
{
    bool any = false;
    for (int i = 0; i < p->n; i++)
        any |= p->mounts[i].sysfs;
    if (!any)
        return 0;
    _cleanup_close_ int fs = fs_tmpfs(65536, 1024, "0755", err);
    int r = fs < 0 ? fs : 0;
    for (int i = 0; r == 0 && i < p->n; i++)
        if (p->mounts[i].sysfs)
            r = path_make(fs, p->mounts[i].dst + SYS_LEN, true, err);
    for (int i = 0; r == 0 && i < p->n_links; i++)
        r = make_link(fs, &p->links[i], err);
    if (r == 0)
        r = path_attach(fs, root_fd, "/sys", err);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC};
    if (r == 0 && mount_setattr(fs, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        r = err_errno(err, "close /sys for writing");
    return r;
}
