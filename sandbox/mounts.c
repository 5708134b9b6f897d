/* See mounts.h. Nothing here opens a path of the host: sources are descriptors, targets are looked
 * up below the new root without following links. */
#include "mounts.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "sandbox/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define ROOT_BYTES (1u << 20) /* folders, links and a few texts */
#define ROOT_INODES 1024

/* Files of /proc that tell about the whole machine, or let its hardware be timed. */
static const char *const masked_files[] = {
    "kcore",       "keys",     "key-users",  "cmdline",       "timer_list",
    "sched_debug", "kallsyms", "interrupts", "latency_stats", "config.gz"};
static const char *const masked_dirs[] = {"acpi", "asound", "scsi"};
#define EMPTY_DIR "var/empty"

int mounts_private(struct err *err)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_errno(err, "make every mount private");
    return 0;
}

static int set_option(int fs, const char *key, const char *value, struct err *err)
{
    if (fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0)
        return err_errno(err, "set %s=%s", key, value);
    return 0;
}

static int create_mount(int fs, uint64_t attributes, struct err *err)
{
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_errno(err, "create the file system");
    int fd = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
    return fd < 0 ? err_errno(err, "make a mount of the file system") : fd;
}

/* Inodes cost kernel memory that `size` does not count, so they have a limit of their own. */
static uint64_t inodes_for(uint64_t bytes)
{
    uint64_t n = bytes / 4096;
    return n < 1024 ? 1024 : n > 262144 ? 262144 : n;
}

static int new_tmpfs(uint64_t bytes, uint64_t inodes, const char *mode, struct err *err)
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
    return create_mount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);
}

/* A read-only procfs. hidden: other uids' processes are invisible where the kernel can do that
 * (5.8). */
static int new_proc(bool hidden, struct err *err)
{
    _cleanup_close_ int fs = fsopen("proc", FSOPEN_CLOEXEC);
    if (fs < 0)
        return err_errno(err, "open a procfs");
    if (hidden)
        (void)fsconfig(fs, FSCONFIG_SET_STRING, "hidepid", "invisible", 0);
    uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    return create_mount(fs, attributes | (hidden ? MOUNT_ATTR_RDONLY : 0), err);
}

int mounts_private_proc(struct err *err)
{
    _cleanup_close_ int mount_fd = new_proc(false, err);
    if (mount_fd < 0)
        return mount_fd;
    /* a mount's own descriptor cannot be listed */
    int fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_errno(err, "open the private procfs") : fd;
}

/* Opens `path` (absolute) below the root, links not followed. */
static int open_below(int root_fd, const char *path)
{
    return sys_openat2(root_fd, path, O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

/* Makes the missing folders above `path`, and `path` itself as a folder or an empty file. */
static int make_place(int root_fd, const char *path, bool is_dir, struct err *err)
{
    char part[256];
    for (const char *slash = path; slash;) {
        const char *next = strchr(slash + 1, '/');
        size_t len = next ? (size_t)(next - path) : strlen(path);
        snprintf(part, sizeof(part), "%.*s", (int)len, path);
        slash = next;
        _cleanup_close_ int fd = open_below(root_fd, part);
        if (fd >= 0)
            continue;
        if (errno != ENOENT)
            return err_errno(err, "look up %s", part);
        /* the parent was opened without links a moment ago, and nobody else is here */
        if (!next && !is_dir) {
            _cleanup_close_ int file =
                openat(root_fd, part + 1, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
            if (file < 0)
                return err_errno(err, "create %s", part);
        } else if (mkdirat(root_fd, part + 1, 0755) < 0) {
            return err_errno(err, "create %s", part);
        }
    }
    return 0;
}

static int attach(int mount_fd, int root_fd, const char *path, struct err *err)
{
    _cleanup_close_ int place = open_below(root_fd, path);
    if (place < 0)
        return err_errno(err, "look up %s", path);
    if (move_mount(mount_fd, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return err_errno(err, "mount at %s", path);
    return 0;
}

static int do_mount(struct plan_entry *e, int root_fd, struct err *err)
{
    int r = make_place(root_fd, e->dst, e->is_dir, err);
    if (r == 0)
        r = attach(e->fd, root_fd, e->dst, err);
    if (r < 0)
        return r;
    close_fd(&e->fd);
    /* what lies there now must be what the starter opened */
    _cleanup_close_ int fd = open_below(root_fd, e->dst);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, "look at the mount %s", e->dst);
    if (st.st_dev != e->dev || st.st_ino != e->ino)
        return err_set(err, EXDEV, "%s is not what was to be mounted there", e->dst);
    return 0;
}

static int do_file(const struct plan_entry *e, int root_fd, struct err *err)
{
    int r = make_place(root_fd, e->dst, false, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = openat(root_fd, e->dst + 1, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open %s", e->dst);
    if ((r = write_all(fd, e->text, strlen(e->text))) < 0)
        return err_set(err, -r, "write %s: %s", e->dst, strerror(-r));
    return 0;
}

static int do_link(const struct plan_entry *e, int root_fd, struct err *err)
{
    char parent[256];
    snprintf(parent, sizeof(parent), "%s", e->dst);
    char *slash = strrchr(parent, '/');
    int r = 0;
    if (slash > parent) {
        *slash = '\0';
        r = make_place(root_fd, parent, true, err);
    }
    if (r == 0 && symlinkat(e->text, root_fd, e->dst + 1) < 0)
        r = err_errno(err, "link %s", e->dst);
    return r;
}

static int do_entry(struct plan_entry *e, int root_fd, struct err *err)
{
    switch (e->kind) {
    case PLAN_DIR:
        return make_place(root_fd, e->dst, true, err);
    case PLAN_LINK:
        return do_link(e, root_fd, err);
    case PLAN_FILE:
        return do_file(e, root_fd, err);
    case PLAN_MOUNT:
        return do_mount(e, root_fd, err);
    }
    return err_set(err, EINVAL, "%s: unknown kind of entry", e->dst);
}

/* Puts a copy of `source` (below the root) over `path`, if there is such a path. */
static int mask(int root_fd, const char *source, const char *path, struct err *err)
{
    _cleanup_close_ int place = open_below(root_fd, path);
    if (place < 0)
        return errno == ENOENT ? 0 : err_errno(err, "look up %s", path);
    _cleanup_close_ int copy = open_tree(root_fd, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (copy < 0)
        return err_errno(err, "copy %s", source);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(copy, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_errno(err, "close the mask of %s", path);
    if (move_mount(copy, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return err_errno(err, "mask %s", path);
    return 0;
}

static int build_proc(int root_fd, struct err *err)
{
    _cleanup_close_ int fd = new_proc(true, err);
    if (fd < 0)
        return fd;
    int r = make_place(root_fd, "/proc", true, err);
    if (r == 0)
        r = attach(fd, root_fd, "/proc", err);
    if (r == 0)
        r = make_place(root_fd, "/" EMPTY_DIR, true, err);
    char path[64];
    for (size_t i = 0; r == 0 && i < sizeof(masked_files) / sizeof(*masked_files); i++) {
        snprintf(path, sizeof(path), "/proc/%s", masked_files[i]);
        r = mask(root_fd, "dev/null", path, err);
    }
    for (size_t i = 0; r == 0 && i < sizeof(masked_dirs) / sizeof(*masked_dirs); i++) {
        snprintf(path, sizeof(path), "/proc/%s", masked_dirs[i]);
        r = mask(root_fd, EMPTY_DIR, path, err);
    }
    return r;
}

static int build_tmpfs(int root_fd, const char *path, uint64_t bytes, struct err *err)
{
    _cleanup_close_ int fd = new_tmpfs(bytes, inodes_for(bytes), "1777", err);
    if (fd < 0)
        return fd;
    int r = make_place(root_fd, path, true, err);
    return r < 0 ? r : attach(fd, root_fd, path, err);
}

/* A folder that belongs to the program's user. */
static int user_dir(int dirfd, const char *name, mode_t mode, struct err *err)
{
    if (mkdirat(dirfd, name, mode) < 0)
        return err_errno(err, "create %s", name);
    if (fchownat(dirfd, name, SPEC_UID, SPEC_UID, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, "give %s to the program's user", name);
    return 0;
}

/* The layers lie beside the home on the same tmpfs, so that one limit counts both and the program
 * does not see them. Overlayfs takes paths of this namespace: relative ones, from the folder that
 * holds the layers. */
static int build_overlay(int layers_fd, int app_fd, int root_fd, struct err *err)
{
    int r;
    if ((r = user_dir(layers_fd, "upper", 0755, err)) < 0)
        return r;
    if (mkdirat(layers_fd, "work", 0700) < 0 || mkdirat(layers_fd, "lower", 0700) < 0)
        return err_errno(err, "create the layers' folders");
    if (move_mount(app_fd, "", layers_fd, "lower", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, "mount the version's tree");
    if (fchdir(layers_fd) < 0)
        return err_errno(err, "enter the layers' folder");
    _cleanup_close_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);
    if (fs < 0)
        return err_errno(err, "open an overlay file system (CONFIG_OVERLAY_FS)");
    if ((r = set_option(fs, "lowerdir", "lower", err)) < 0 ||
        (r = set_option(fs, "upperdir", "upper", err)) < 0 ||
        (r = set_option(fs, "workdir", "work", err)) < 0)
        return r;
    if (fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
        return err_errno(err, "overlay in a user namespace (Linux 5.11 or newer)");
    _cleanup_close_ int overlay = create_mount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);
    if (overlay < 0)
        return overlay;
    return attach(overlay, root_fd, SPEC_APP, err);
}

static int build_home(int root_fd, int app_fd, uint64_t bytes, struct err *err)
{
    _cleanup_close_ int layers = new_tmpfs(bytes, inodes_for(bytes), "0755", err);
    if (layers < 0)
        return layers;
    int r;
    if ((r = make_place(root_fd, "/.layers", true, err)) < 0 ||
        (r = attach(layers, root_fd, "/.layers", err)) < 0 ||
        (r = user_dir(layers, "home", 0755, err)) < 0 ||
        (r = user_dir(layers, "home/app", 0755, err)) < 0)
        return r;
    _cleanup_close_ int home = open_tree(layers, "home", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (home < 0)
        return err_errno(err, "copy the home's mount");
    if ((r = make_place(root_fd, SPEC_HOME, true, err)) < 0 ||
        (r = attach(home, root_fd, SPEC_HOME, err)) < 0)
        return r;
    if (app_fd >= 0 && (r = build_overlay(layers, app_fd, root_fd, err)) < 0)
        return r;
    /* the overlay and the home hold what they need of it */
    if (fchdir(root_fd) < 0 || umount2(".layers", MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ||
        unlinkat(root_fd, ".layers", AT_REMOVEDIR) < 0)
        return err_errno(err, "take the layers' folder away");
    return 0;
}

int mounts_build(struct plan *p, const struct sandbox_spec *s, struct err *err)
{
    _cleanup_close_ int root_fd = new_tmpfs(ROOT_BYTES, ROOT_INODES, "0755", err);
    if (root_fd < 0)
        return root_fd;
    if (move_mount(root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, "mount the new root");
    int r = 0;
    /* what was asked for may lie on top of what is made here, so it comes last */
    int n_system = p->n - s->n_mounts;
    for (int i = 0; r == 0 && i < n_system; i++)
        r = do_entry(&p->entries[i], root_fd, err);
    if (r == 0)
        r = build_proc(root_fd, err);
    if (r == 0)
        r = build_tmpfs(root_fd, "/tmp", s->start.tmp_bytes, err);
    if (r == 0)
        r = build_tmpfs(root_fd, "/dev/shm", s->start.tmp_bytes, err);
    if (r == 0)
        r = build_home(root_fd, p->app_fd, s->start.home_bytes, err);
    close_fd(&p->app_fd);
    for (int i = n_system; r == 0 && i < p->n; i++)
        r = do_entry(&p->entries[i], root_fd, err);
    return r < 0 ? r : steal_fd(&root_fd);
}

int mounts_enter(int root_fd, struct err *err)
{
    if (fchdir(root_fd) < 0)
        return err_errno(err, "enter the new root");
    /* the old root lands on top of the new one, and is taken off there */
    if (sys_pivot_root(".", ".") < 0)
        return err_errno(err, "pivot_root");
    if (umount2(".", MNT_DETACH) < 0)
        return err_errno(err, "detach the old root");
    if (chdir("/") < 0)
        return err_errno(err, "enter the new root");
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(root_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_errno(err, "close the root for writing");
    return 0;
}
