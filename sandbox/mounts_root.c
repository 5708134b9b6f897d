/* The root as one sandbox sees it. The copy of the shared root has the inodes of the host and of
 * all neighbours: who can open one can lock it, and whoever sees the lock has been told something.
 * An overlay has inodes of its own, and shares with others only what nobody can change: the pages
 * of the files. One overlay shows the small tmpfs that is the root, one each folder of the system
 * in it; they have no writable layer. */
#include "mounts.h"

#include "common/cleanup.h"
#include "sandbox/filesystems.h"
#include "sandbox/paths.h"
#include "sandbox/root.h"
#include "sandbox/mount_api.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A folder of the copy on which something is mounted: "usr" of the host; nearly all of an image. */
static int show_folder(int root_fd, const char *name, struct err *err)
{
    char path[264];
    if (strpbrk(name, ":\\,")) /* overlayfs reads them as something else; no system has them */
        return err_set(err, EINVAL, "the root's folder \"%s\" has a name that cannot be mounted",
                       name);
    _cleanup_close_ int overlay = fs_overlay_read_only(name, &ROOT_EMPTY_DIR[1], err);
    if (overlay == -EINVAL) { /* something is mounted below it and locked to it */
        if (move_mount(AT_FDCWD, name, root_fd, name, 0) < 0)
            return err_errno(err, "mount /%s", name);
        return 0;
    }
    if (overlay < 0)
        return err_prefix(err, -overlay, "/%s", name);
    snprintf(path, sizeof(path), "/%s", name);
    return path_attach(overlay, root_fd, path, err);
}

static int show_folders(DIR *copy, int root_fd, struct err *err)
{
    struct stat top, st;
    if (fstat(dirfd(copy), &top) < 0)
        return err_errno(err, "stat the shared root");
    struct dirent *e;
    int r = 0;
    while (r == 0 && (e = readdir(copy))) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        if (fstatat(dirfd(copy), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return err_errno(err, "stat /%s", e->d_name);
        if (st.st_dev != top.st_dev)
            r = show_folder(root_fd, e->d_name, err);
    }
    return r;
}

static int show_etc_folders(int copy_fd, int root_fd, struct err *err)
{
    struct stat top, st;
    if (fstat(copy_fd, &top) < 0)
        return err_errno(err, "stat the shared root");
    int r = 0;
    for (size_t i = 0; r == 0 && i < ROOT_ETC_FOLDERS; i++)
        if (fstatat(copy_fd, root_etc_folders[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_dev != top.st_dev)
            r = show_folder(root_fd, root_etc_folders[i], err);
    return r;
}

int mounts_show_root(int copy_fd, struct err *err)
{
    int list = openat(copy_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (list < 0)
        return err_errno(err, "open the shared root");
    _cleanup_closedir_ DIR *copy = fdopendir(list);
    if (!copy) {
        close(list);
        return err_errno(err, "list the shared root");
    }
    if (fchdir(list) < 0) /* overlayfs takes paths of this namespace */
        return err_errno(err, "enter the shared root");
    _cleanup_close_ int root_fd = fs_overlay_read_only(".", &ROOT_EMPTY_DIR[1], err);
    if (root_fd < 0)
        return root_fd;
    if (move_mount(root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, "mount the new root");
    int r = show_folders(copy, root_fd, err);
    if (r == 0)
        r = show_etc_folders(copy_fd, root_fd, err);
    if (r == 0)
        r = root_move_devices(copy_fd, root_fd, err);
    return r < 0 ? r : steal_fd(&root_fd);
}

static int new_folder(int dirfd, const char *name, mode_t mode, uid_t uid, struct err *err)
{
    if (mkdirat(dirfd, name, mode) < 0 || fchmodat(dirfd, name, mode, 0) < 0 ||
        fchownat(dirfd, name, uid, uid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, "create %s for a writable layer", name);
    return 0;
}

/* The layers of one folder are "upper" and "work" of a folder of its own. The upper one belongs to
 * the program: the root's owners are not mapped in here, so what lies deeper and belongs to them is
 * not copied up (EOVERFLOW) and stays as it is. */
static int make_writable(int root_fd, int fs, const char *path, const char *layers,
                         struct own_files *own, struct err *err)
{
    int r = new_folder(fs, layers, 0755, 0, err);
    if (r < 0)
        return r;
    _cleanup_close_ int dir = openat(fs, layers, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fchdir(dir) < 0)
        return err_errno(err, "enter the layers' folder");
    if ((r = new_folder(dir, "upper", 0755, SPEC_UID, err)) < 0 ||
        (r = new_folder(dir, "work", 0700, 0, err)) < 0 ||
        (strcmp(path, "/var") == 0 && (r = new_folder(dir, "upper/tmp", 01777, SPEC_UID, err)) < 0))
        return r;
    _cleanup_close_ int overlay = fs_overlay_over(path, err);
    if (overlay < 0)
        return err_prefix(err, -overlay, "%s", path);
    own_files_note(own, overlay);
    return path_attach(overlay, root_fd, path, err);
}

/* Layers are found by paths, so their tmpfs is mounted where the sandbox's own files will cover it.
 */
int mounts_writable_root(int root_fd, uint64_t bytes, struct own_files *own, struct err *err)
{
    _cleanup_close_ int fs = fs_tmpfs(bytes, fs_inodes_for(bytes), "0700", err);
    int r = fs < 0 ? fs : path_attach(fs, root_fd, ROOT_OWN_DIR, err);
    for (size_t i = 0; r == 0 && i < SPEC_WRITABLE_FOLDERS; i++) {
        const char *path = spec_writable_folders[i];
        const char layers[] = {(char)('0' + i), '\0'};
        struct stat st;
        if (fstatat(root_fd, path + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
            r = make_writable(root_fd, fs, path, layers, own, err);
    }
    return r;
}
