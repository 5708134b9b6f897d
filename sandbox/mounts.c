/* See mounts.h. Nothing here opens a path of the host: sources are descriptors, targets are looked
 * up below the new root without following links. */
#include "mounts.h"

#include "common/cleanup.h"
#include "sandbox/filesystems.h"
#include "sandbox/paths.h"
#include "sandbox/net_rules.h"
#include "sandbox/root.h"
#include "sandbox/sys.h"
#include "sandbox/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define BUSY_TRIES 20
#define BUSY_PAUSE_NS 1000000

/* What tells about the whole machine, or lets its hardware be timed. */
static const char *const masked_files[] = {
    "/proc/kcore",       "/proc/keys",          "/proc/cmdline",  "/proc/timer_list",
    "/proc/sched_debug", "/proc/latency_stats", "/proc/kallsyms", "/proc/interrupts",
    "/proc/locks",       "/proc/partitions",    "/proc/diskstats"};
#define DRIVER_PROC "/proc/driver/nvidia" /* tells about all cards */
static const char *const masked_dirs[] = {"/proc/acpi", "/proc/asound", "/proc/scsi", DRIVER_PROC};

int mounts_private(struct err *err)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_errno(err, "make every mount private");
    return 0;
}

/* A copy of the mount at `from` (of one mount, or of a folder in it). */
static int copy_mount(int dirfd, const char *from, struct err *err)
{
    int fd = open_tree(dirfd, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return fd < 0 ? err_errno(err, "copy the mount of %s", from) : fd;
}

static int set_read_only(int fd, const char *what, struct err *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_errno(err, "close %s for writing", what);
    return 0;
}

/* Puts a copy of `source` over `path`, if there is such a path. */
static int mask(int root_fd, const char *source, const char *path, struct err *err)
{
    _cleanup_close_ int place = path_open(root_fd, path);
    if (place < 0)
        return errno == ENOENT ? 0 : err_errno(err, "look up %s", path);
    _cleanup_close_ int copy = copy_mount(root_fd, source + 1, err);
    if (copy < 0)
        return copy;
    if (move_mount(copy, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return err_errno(err, "mask %s", path);
    return 0;
}

/* Read-only for the program; PID 1 keeps a mount that can be written. That one goes with the old
 * root: it can still be used by its descriptor then. (A copy that was never attached would be taken
 * down by itself, and each taking down waits for the kernel.) */
static int build_proc(int root_fd, int *ret_private, struct err *err)
{
    _cleanup_close_ int fd = fs_proc(err);
    if (fd < 0)
        return fd;
    if (move_mount(fd, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, "mount the private procfs");
    /* a mount's own descriptor cannot be listed */
    _cleanup_close_ int list = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (list < 0)
        return err_errno(err, "open the private procfs");
    _cleanup_close_ int shown = copy_mount(AT_FDCWD, "/proc", err);
    if (shown < 0)
        return shown;
    int r;
    if ((r = set_read_only(shown, "/proc", err)) < 0 ||
        (r = path_attach(shown, root_fd, "/proc", err)) < 0)
        return r;
    for (size_t i = 0; r == 0 && i < sizeof(masked_files) / sizeof(*masked_files); i++)
        r = mask(root_fd, ROOT_NULL, masked_files[i], err);
    for (size_t i = 0; r == 0 && i < sizeof(masked_dirs) / sizeof(*masked_dirs); i++)
        r = mask(root_fd, ROOT_EMPTY_DIR, masked_dirs[i], err);
    if (r == 0)
        *ret_private = steal_fd(&list);
    return r;
}

/* A folder of a new file system; fchmod, since a umask would take bits away. */
static int new_dir(int dirfd, const char *name, mode_t mode, uid_t uid, struct err *err)
{
    if (mkdirat(dirfd, name, mode) < 0 || fchmodat(dirfd, name, mode, 0) < 0)
        return err_errno(err, "create %s", name);
    if (uid && fchownat(dirfd, name, uid, uid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, "give %s to the program's user", name);
    return 0;
}

/* Shows the folder `name` of the file system that is mounted (and about to be covered) at `cover`
 * at `path`. */
static int show(int fs_fd, const char *name, int root_fd, const char *path, struct err *err)
{
    _cleanup_close_ int fd = copy_mount(fs_fd, name, err);
    return fd < 0 ? fd : path_attach(fd, root_fd, path, err);
}

/* /tmp and /dev/shm are folders of one tmpfs, so that its size limits both together. The tmpfs
 * itself lies below what is shown at /tmp, out of reach. */
static int build_scratch(int root_fd, uint64_t bytes, uint64_t inodes, struct own_files *own,
                         struct err *err)
{
    _cleanup_close_ int fs = fs_tmpfs(bytes, inodes ? inodes : fs_inodes_for(bytes), "0755", err);
    if (fs < 0)
        return fs;
    own_files_note(own, fs);
    int r;
    if ((r = path_attach(fs, root_fd, "/tmp", err)) < 0 ||
        (r = new_dir(fs, "tmp", 01777, 0, err)) < 0 ||
        (r = new_dir(fs, "shm", 01777, 0, err)) < 0 ||
        (r = show(fs, "shm", root_fd, "/dev/shm", err)) < 0)
        return r;
    return show(fs, "tmp", root_fd, "/tmp", err);
}

/* hosts, hostname and resolv.conf, to which /etc has links. */
static int build_own_files(int fs, int root_fd, const char *hostname, bool way_out, struct err *err)
{
    const char *resolv =
        way_out ? "nameserver " NET_RESOLVER "\noptions timeout:3 attempts:3\n" : "# no network\n";
    char hosts[160];
    snprintf(hosts, sizeof(hosts), "127.0.0.1 localhost %s\n::1 localhost\n", hostname);
    char name[80];
    snprintf(name, sizeof(name), "%s\n", hostname);
    int r;
    if ((r = new_dir(fs, "own", 0755, 0, err)) < 0 ||
        (r = root_file(fs, "/own/hosts", hosts, err)) < 0 ||
        (r = root_file(fs, "/own/resolv.conf", resolv, err)) < 0 ||
        (r = root_file(fs, "/own/hostname", name, err)) < 0)
        return r;
    _cleanup_close_ int fd = copy_mount(fs, "own", err);
    if (fd < 0)
        return fd;
    r = set_read_only(fd, ROOT_OWN_DIR, err);
    return r < 0 ? r : path_attach(fd, root_fd, ROOT_OWN_DIR, err);
}

/* The layers lie beside the home on the same tmpfs, so that one limit counts both and the program
 * does not see them. Overlayfs takes paths of this namespace: relative ones, from the folder that
 * holds the layers. */
static int build_overlay(int fs, int app_fd, struct own_files *own, struct err *err)
{
    int r;
    if ((r = new_dir(fs, "upper", 0755, SPEC_UID, err)) < 0 ||
        (r = new_dir(fs, "work", 0700, 0, err)) < 0 || (r = new_dir(fs, "lower", 0700, 0, err)) < 0)
        return r;
    if (move_mount(app_fd, "", fs, "lower", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, "mount the version's tree");
    if (fchdir(fs) < 0)
        return err_errno(err, "enter the layers' folder");
    _cleanup_close_ int overlay = fs_overlay(err);
    if (overlay < 0)
        return overlay;
    /* overlayfs keeps the tree for itself; here it would only name its host folder in mountinfo */
    if (umount2("lower", MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
        return err_errno(err, "take the version's tree out of sight");
    own_files_note(own, overlay);
    return steal_fd(&overlay);
}

/* The tmpfs lies at the home's place first, where overlayfs finds its layers, and is then covered
 * by the folder of it that is the home. */
static int build_home(int root_fd, int app_fd, const struct proto_start *st, int *ret_fs,
                      struct own_files *own, struct err *err)
{
    const char *hostname = *st->hostname ? st->hostname : "sandbox";
    uint64_t inodes = st->home_inodes ? st->home_inodes : fs_inodes_for(st->home_bytes);
    _cleanup_close_ int fs = fs_tmpfs(st->home_bytes, inodes, "0755", err);
    if (fs < 0)
        return fs;
    own_files_note(own, fs);
    int r;
    if ((r = path_attach(fs, root_fd, SPEC_HOME, err)) < 0 ||
        (r = new_dir(fs, "home", 0755, SPEC_UID, err)) < 0 ||
        (r = new_dir(fs, "home/app", 0755, SPEC_UID, err)) < 0 ||
        (r = build_own_files(fs, root_fd, hostname, st->net != NET_NONE, err)) < 0)
        return r;
    _cleanup_close_ int overlay = -1;
    if (app_fd >= 0 && (overlay = build_overlay(fs, app_fd, own, err)) < 0)
        return overlay;
    if ((r = show(fs, "home", root_fd, SPEC_HOME, err)) < 0)
        return r;
    if (overlay >= 0 && (r = path_attach(overlay, root_fd, SPEC_APP, err)) < 0)
        return r;
    *ret_fs = steal_fd(&fs);
    return 0;
}

static int check_same(int fd, const struct plan_mount *m, struct err *err)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, "look at the mount %s", m->dst);
    if (st.st_dev != m->dev || st.st_ino != m->ino)
        return err_set(err, EXDEV, "%s is not what was to be mounted there", m->dst);
    return 0;
}

/* Takes it off again: fails with EBUSY where there are mounts below it. Another process that had
 * its descriptor as well may be about to close it still, and that says the same for a moment. */
static int take_off(const char *name)
{
    int r = umount2(name, UMOUNT_NOFOLLOW);
    for (int i = 0; r < 0 && errno == EBUSY && i < BUSY_TRIES; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = BUSY_PAUSE_NS}, NULL);
        r = umount2(name, UMOUNT_NOFOLLOW);
    }
    return r;
}

/* A folder to read is shown by an overlay, so that its inodes are ours alone (mounts_root.c), and
 * m->fd becomes that, as does one that is laid over a folder of the root; one with mounts below it
 * stays what it is, since an overlay would not show those (EINVAL, where they are locked to it).
 * `fs` is the home's file system, where layers are out of sight. */
static int show_read_only(struct plan_mount *m, int fs, struct err *err)
{
    struct stat st;
    if ((mkdirat(fs, "asked", 0700) < 0 || mkdirat(fs, "empty", 0755) < 0) && errno != EEXIST)
        return err_errno(err, "create a layer");
    if (fchdir(fs) < 0 || move_mount(m->fd, "", fs, "asked", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, "mount the source of %s", m->dst);
    int r = check_same(m->fd, m, err);
    bool over = m->base_fd >= 0;
    if (r == 0 && over && move_mount(m->base_fd, "", fs, "empty", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        r = err_errno(err, "mount what lies below %s", m->dst);
    _cleanup_close_ int overlay = r < 0 ? r : fs_overlay_read_only("asked", "empty", err);
    if (overlay < 0 && (over || overlay != -EINVAL))
        return err_prefix(err, -overlay, "%s", m->dst);
    close_fd(&m->fd);
    close_fd(&m->base_fd);
    if (over && umount2("empty", MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
        return err_errno(err, "take what lies below %s out of sight", m->dst);
    if (take_off("asked") == 0 && overlay >= 0)
        m->fd = steal_fd(&overlay);
    else if (errno != EBUSY) /* that is what one with mounts below it says */
        return err_errno(err, "take the source of %s out of sight", m->dst);
    else
        m->fd = open_tree(fs, "asked", OPEN_TREE_CLOEXEC);
    if (m->fd < 0 || fstat(m->fd, &st) < 0)
        return err_errno(err, "look at the layer of %s", m->dst);
    m->dev = st.st_dev;
    m->ino = st.st_ino;
    return 0;
}

/* What is mounted below /etc is there again once another /etc is on top. */
struct below {
    int fds[ROOT_ETC_FOLDERS];
};

static int keep_below(int root_fd, struct below *b, struct err *err)
{
    struct stat etc, st;
    if (fstatat(root_fd, "etc", &etc, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, "stat /etc");
    for (size_t i = 0; i < ROOT_ETC_FOLDERS; i++) {
        b->fds[i] = -1;
        if (fstatat(root_fd, root_etc_folders[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_dev != etc.st_dev &&
            (b->fds[i] = copy_mount(root_fd, root_etc_folders[i], err)) < 0)
            return b->fds[i];
    }
    return 0;
}

static int show_below(int root_fd, struct below *b, struct err *err)
{
    int r = 0;
    for (size_t i = 0; i < ROOT_ETC_FOLDERS; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/%s", root_etc_folders[i]);
        if (r == 0 && b->fds[i] >= 0)
            r = path_attach(b->fds[i], root_fd, path, err);
        close_fd(&b->fds[i]);
    }
    return r;
}

/* The folders on the way, which are the program's as its home is. */
static int make_way(int fs, const char *dst, struct err *err)
{
    char path[sizeof("home") + 256];
    snprintf(path, sizeof(path), "home%s", dst + strlen(SPEC_HOME));
    for (char *slash = path + sizeof("home") - 1, *next; slash; slash = next) {
        struct stat st;
        next = strchr(slash + 1, '/');
        if (next)
            *next = '\0';
        int r = fstatat(fs, path, &st, AT_SYMLINK_NOFOLLOW) < 0
                    ? new_dir(fs, path, 0755, SPEC_UID, err)
                    : 0;
        if (r < 0)
            return r;
        if (next)
            *next = '/';
    }
    return 0;
}

/* As the version's tree, with layers of its own; m->fd becomes that. `fs` is the home's file
 * system. */
static int show_copied(struct plan_mount *m, int fs, int number, struct own_files *own,
                       struct err *err)
{
    char name[24];
    struct stat st;
    snprintf(name, sizeof(name), "copied%d", number);
    int r = check_same(m->fd, m, err);
    if (r == 0)
        r = make_way(fs, m->dst, err);
    if (r == 0)
        r = new_dir(fs, name, 0700, 0, err);
    if (r < 0)
        return r;
    _cleanup_close_ int layers = openat(fs, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (layers < 0)
        return err_errno(err, "open the layers of %s", m->dst);
    _cleanup_close_ int overlay = build_overlay(layers, m->fd, own, err);
    if (overlay < 0)
        return err_prefix(err, -overlay, "%s", m->dst);
    close_fd(&m->fd);
    m->fd = steal_fd(&overlay);
    if (fstat(m->fd, &st) < 0)
        return err_errno(err, "look at the layers of %s", m->dst);
    m->dev = st.st_dev;
    m->ino = st.st_ino;
    return 0;
}

static int build_asked(struct plan_mount *m, int root_fd, int fs, int number, struct own_files *own,
                       struct err *err)
{
    /* a place in the shared root was made by the starter, one in a file system of our own is not
     * there yet */
    int r = m->copied ? show_copied(m, fs, number, own, err)
                      : path_make(root_fd, m->dst, m->is_dir, err);
    if (r == 0 && m->is_dir && !m->writable && !m->copied && !m->sysfs)
        r = show_read_only(m, fs, err);
    struct below below;
    bool etc = m->is_dir && strcmp(m->dst, "/etc") == 0;
    if (r == 0 && etc)
        r = keep_below(root_fd, &below, err);
    if (r == 0)
        r = path_attach(m->fd, root_fd, m->dst, err);
    if (r == 0 && etc)
        r = show_below(root_fd, &below, err);
    if (r < 0)
        return r;
    close_fd(&m->fd);
    /* what lies there now must be what the starter opened */
    _cleanup_close_ int fd = path_open(root_fd, m->dst);
    return check_same(fd, m, err);
}

int mounts_begin(int copy_fd, int *ret_root_fd, int *ret_proc_fd, struct err *err)
{
    /* where it goes with the old root, at once */
    if (move_mount(copy_fd, "", AT_FDCWD, "/dev", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, "mount the shared root");
    _cleanup_close_ int root_fd = mounts_show_root(copy_fd, err);
    if (root_fd < 0)
        return root_fd;
    int r = build_proc(root_fd, ret_proc_fd, err);
    if (r == 0)
        *ret_root_fd = steal_fd(&root_fd);
    return r;
}

/* It is the driver's own, which programs of its read; whoever has no card has no business there. */
static void show_driver(void)
{
    (void)umount2(DRIVER_PROC, MNT_DETACH | UMOUNT_NOFOLLOW);
}

int mounts_complete(int root_fd, struct plan *p, const struct sandbox_spec *s,
                    struct own_files *own, struct err *err)
{
    _cleanup_close_ int fs = -1;
    int r = build_scratch(root_fd, s->start.tmp_bytes, s->start.tmp_inodes, own, err);
    if (r == 0 && spec_root_is_writable(s))
        r = mounts_writable_root(root_fd, s->start.root_bytes, own, err);
    if (r == 0)
        r = build_home(root_fd, p->app_fd, &s->start, &fs, own, err);
    close_fd(&p->app_fd);
    if (r == 0 && spec_has_devices(s))
        r = root_own_dev(root_fd, p, err);
    if (r == 0 && spec_has_devices(s))
        r = root_own_sys(root_fd, p, err);
    if (r == 0 && spec_has_devices(s))
        show_driver();
    for (int i = 0; r == 0 && i < p->n; i++)
        r = build_asked(&p->mounts[i], root_fd, fs, i, own, err);
    return r < 0 ? r : chdir("/") < 0 ? err_errno(err, "enter the new root") : 0;
}

int mounts_enter(int root_fd, struct err *err)
{
    if (fchdir(root_fd) < 0)
        return err_errno(err, "enter the new root");
    /* the old root lands on top of the new one */
    return sys_pivot_root(".", ".") < 0 ? err_errno(err, "pivot_root") : 0;
}

int mounts_leave_old(struct err *err)
{
    if (umount2(".", MNT_DETACH) < 0)
        return err_errno(err, "detach the old root");
    if (chdir("/") < 0)
        return err_errno(err, "enter the new root");
    return 0;
}
