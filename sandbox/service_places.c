/* See service_places.h. */
#include "service_places.h"

#include "common/cleanup.h"
#include "common/userns.h"
#include "sandbox/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

/* The path as the group of the service may use it. A folder may be a link to another disk; a file
 * may not, as its writer's other files would lie beside its target. */
static int open_for_group(const char *path, bool folder, gid_t gid, struct err *err)
{
    int flags = folder ? O_DIRECTORY : O_CREAT | O_NOFOLLOW | O_NONBLOCK;
    _cleanup_close_ int fd = open(path, flags | O_RDONLY | O_CLOEXEC, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, "open %s", path);
    if (!folder && !S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "%s is no file", path);
    mode_t mode = st.st_mode & 07777, wanted = mode | (folder ? 0070 : 0040);
    if (gid != (gid_t)-1 && st.st_gid != gid && fchown(fd, (uid_t)-1, gid) < 0)
        return err_errno(err, "give %s to group %u", path, gid);
    if (gid != (gid_t)-1 && mode != wanted && fchmod(fd, wanted) < 0)
        return err_errno(err, "open %s to its group", path);
    return steal_fd(&fd);
}

void service_plan_webui(struct service_plan *plan, struct service_paths *paths, const char *data)
{
    static const char *const names[SERVICE_PLACES] = {"life.db", "life.db-wal", "life.db-shm",
                                                      "uploads"};
    *plan = (struct service_plan){.kind = SERVICE_WEBUI};
    for (size_t i = 0; i < SERVICE_PLACES; i++) {
        snprintf(paths->text[i], sizeof(paths->text[i]), "%s/%s", data, names[i]);
        *(i < 3 ? &plan->files[i] : &plan->folders[0]) = paths->text[i];
    }
}

int service_prepare(const struct service_plan *plan, struct err *err)
{
    struct userns_range range;
    gid_t gid = (gid_t)-1;
    int r = 0;
    if (userns_is_ready()) {
        r = userns_range(plan->uid_first, &range, err);
        gid = r < 0 ? gid : range.first + userns_service_index(&range, plan->kind);
    }
    for (size_t i = 0; r >= 0 && i < SERVICE_PLACES && plan->files[i]; i++)
        if ((r = open_for_group(plan->files[i], false, gid, err)) >= 0)
            close(r);
    for (size_t i = 0; r >= 0 && i < SERVICE_PLACES && plan->folders[i]; i++)
        if ((r = open_for_group(plan->folders[i], true, gid, err)) >= 0)
            close(r);
    return r < 0 ? r : 0;
}

static int take(const char *path, bool folder, gid_t gid, struct err *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                          MOUNT_ATTR_NOSYMFOLLOW | (folder ? 0 : MOUNT_ATTR_RDONLY),
                              .propagation = MS_PRIVATE};
    _cleanup_close_ int fd = open_for_group(path, folder, gid, err);
    if (fd < 0)
        return fd;
    _cleanup_close_ int tree =
        open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return err_errno(err, "copy the mount of %s", path);
    if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_errno(err, "narrow the mount of %s", path);
    return steal_fd(&tree);
}

int service_places_take(struct service_places *p, const struct service_plan *plan, gid_t gid,
                        struct err *err)
{
    for (size_t i = 0; i < SERVICE_PLACES && plan->files[i]; i++)
        if ((p->files[i] = take(plan->files[i], false, gid, err)) < 0)
            return p->files[i];
    for (size_t i = 0; i < SERVICE_PLACES && plan->folders[i]; i++)
        if ((p->folders[i] = take(plan->folders[i], true, gid, err)) < 0)
            return p->folders[i];
    return 0;
}

/* mkdir -p of what lies above `path`, an empty file or folder there, and the mount on it. */
static int attach(int *tree, const char *path, bool folder, int root, struct err *err)
{
    char name[PATH_MAX];
    if (path[0] != '/' || snprintf(name, sizeof(name), "%s", path + 1) >= (int)sizeof(name))
        return err_set(err, EINVAL, "%s is no absolute path", path);
    for (char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int r = mkdirat(root, name, 0555);
        *slash = '/';
        if (r < 0 && errno != EEXIST)
            return err_errno(err, "make the folders above %s", path);
    }
    _cleanup_close_ int file =
        folder ? -1 : openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (folder ? mkdirat(root, name, 0555) < 0 : file < 0)
        return err_errno(err, "make a place for %s", path);
    if (move_mount(*tree, "", root, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, "mount %s", path);
    close_fd(tree);
    return 0;
}

int service_places_attach(struct service_places *p, const struct service_plan *plan, int root,
                          struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < SERVICE_PLACES && plan->files[i]; i++)
        r = attach(&p->files[i], plan->files[i], false, root, err);
    for (size_t i = 0; r == 0 && i < SERVICE_PLACES && plan->folders[i]; i++)
        r = attach(&p->folders[i], plan->folders[i], true, root, err);
    return r;
}

void service_places_close(struct service_places *p)
{
    for (size_t i = 0; i < SERVICE_PLACES; i++) {
        close_fd(&p->files[i]);
        close_fd(&p->folders[i]);
    }
}
