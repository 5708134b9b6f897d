/* See root.h. */
#include "root.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "sandbox/filesystems.h"
#include "sandbox/paths.h"
#include "sandbox/plan.h"
#include "sandbox/mount_api.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define ROOT_BYTES (16u << 20) /* folders, links, and what is copied of /etc */
#define ROOT_INODES 16384
#define READ_ONLY (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV)

void root_cache_init(struct root_cache *c)
{
    *c = (struct root_cache){.holder_fd = -1};
    for (int i = 0; i < ROOT_CACHE_MAX; i++)
        c->roots[i].fd = -1;
}

/* Sandboxes that have copies keep them. */
static void discard(struct shared_root *s)
{
    if (s->fd >= 0) {
        char self[32];
        snprintf(self, sizeof(self), "/proc/self/fd/%d", s->fd);
        (void)umount2(self, MNT_DETACH);
    }
    close_fd(&s->fd);
    s->name[0] = '\0';
}

void root_cache_close(struct root_cache *c)
{
    for (int i = 0; i < ROOT_CACHE_MAX; i++)
        discard(&c->roots[i]);
    close_fd(&c->holder_fd); /* the mount ends with our namespace */
}

/* The kernel makes these folders for others' mounts and keeps them empty; covering one does not
 * make a procfs or sysfs less than fully visible, which mounting /proc in a user namespace asks
 * for. "/" itself will not do: who has something on top of it counts as being in a chroot. */
static int open_holder(struct root_cache *c, struct err *err)
{
    static const char *const places[] = {"/proc/fs/nfsd", "/sys/kernel/debug", "/mnt"};
    if (c->holder_fd >= 0)
        return 0;
    _cleanup_close_ int fd = fs_tmpfs(65536, 2 * ROOT_CACHE_MAX, "0700", err);
    if (fd < 0)
        return fd;
    size_t i = 0;
    while (i < sizeof(places) / sizeof(*places) &&
           move_mount(fd, "", AT_FDCWD, places[i], MOVE_MOUNT_F_EMPTY_PATH) < 0)
        i++;
    if (i == sizeof(places) / sizeof(*places))
        return err_errno(err, "attach a file system to %s", places[i - 1]);
    c->holder_fd = steal_fd(&fd);
    return 0;
}

/* Attaches a new root in the holder's folder `i`. */
static int hold(struct root_cache *c, int i, int root_fd, struct err *err)
{
    char path[16];
    snprintf(path, sizeof(path), "/%d", i);
    int r = path_make(c->holder_fd, path, true, err);
    return r < 0 ? r : path_attach(root_fd, c->holder_fd, path, err);
}

int root_dir(int root_fd, const char *path, struct err *err)
{
    return path_make(root_fd, path, true, err);
}

int root_link(int root_fd, const char *target, const char *path, struct err *err)
{
    if (symlinkat(target, root_fd, path + 1) == 0)
        return 0;
    if (errno != ENOENT)
        return err_errno(err, "link %s", path);
    char parent[256];
    snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    int r = path_make(root_fd, parent, true, err);
    if (r == 0 && symlinkat(target, root_fd, path + 1) < 0)
        r = err_errno(err, "link %s", path);
    return r;
}

int root_file(int root_fd, const char *path, const char *text, struct err *err)
{
    _cleanup_close_ int fd =
        openat(root_fd, path + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0)
        return err_errno(err, "create %s", path);
    int r = write_all(fd, text, strlen(text));
    return r < 0 ? err_set(err, -r, "write %s: %s", path, strerror(-r)) : 0;
}

int root_mount(int root_fd, int source, const char *path, struct err *err)
{
    _cleanup_close_ int fd = source;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "stat the source of %s", path);
    int r = path_make(root_fd, path, S_ISDIR(st.st_mode), err);
    return r < 0 ? r : path_attach(fd, root_fd, path, err);
}

/* One entry of the source: a link is made again, a folder is mounted read-only. */
static int system_entry(int root_fd, int source_fd, const char *name, struct err *err)
{
    struct stat st;
    if (fstatat(source_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_errno(err, "stat /%s", name);
    char path[256];
    if (snprintf(path, sizeof(path), "/%s", name) >= (int)sizeof(path))
        return err_set(err, ENAMETOOLONG, "/%.60s... is too long", name);
    if (S_ISLNK(st.st_mode)) {
        char target[PATH_MAX];
        ssize_t n = readlinkat(source_fd, name, target, sizeof(target) - 1);
        if (n < 0)
            return err_errno(err, "read the link /%s", name);
        target[n] = '\0';
        return root_link(root_fd, target, path, err);
    }
    if (!S_ISDIR(st.st_mode))
        return 0;
    int fd = plan_open_source(source_fd, name, READ_ONLY, err);
    return fd < 0 ? fd : root_mount(root_fd, fd, path, err);
}

/* Of the host only what a distribution owns, and nothing of its people. */
static int host_entries(int root_fd, int source_fd, struct err *err)
{
    static const char *const names[] = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(names) / sizeof(*names); i++)
        r = system_entry(root_fd, source_fd, names[i], err);
    return r;
}

/* Of a root that was made for this (debootstrap, an image): every folder, but those that each
 * sandbox has of its own. */
static int dir_entries(int root_fd, int source_fd, struct err *err)
{
    static const char *const own[] = {"proc", "sys", "dev", "tmp",  "run",   "home",
                                      "data", "etc", "job", "boot", "media", "mnt"};
    int fd = openat(source_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
        int r = skip ? 0 : system_entry(root_fd, source_fd, e->d_name, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What each sandbox mounts in it. */
static int places(int root_fd, struct err *err)
{
    static const char *const dirs[] = {"/proc",   "/tmp",       "/dev/shm",
                                       SPEC_HOME, ROOT_OWN_DIR, ROOT_EMPTY_DIR};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(dirs) / sizeof(*dirs); i++)
        r = root_dir(root_fd, dirs[i], err);
    struct stat st; /* an image brings its own /var */
    if (r == 0 && fstatat(root_fd, "var", &st, AT_SYMLINK_NOFOLLOW) < 0)
        r = root_link(root_fd, "/tmp", "/var/tmp", err);
    int empty = r < 0 ? r : fs_tmpfs(4096, 2, "0555", err);
    return empty < 0 ? empty : root_mount(root_fd, empty, ROOT_EMPTY_DIR, err);
}

static int build(int root_fd, int source_fd, bool host, struct err *err)
{
    int r = host ? host_entries(root_fd, source_fd, err) : dir_entries(root_fd, source_fd, err);
    if (r == 0)
        r = root_etc(root_fd, source_fd, err);
    if (r == 0)
        r = root_devices(root_fd, err);
    return r < 0 ? r : places(root_fd, err);
}

/* When the source's folders from which something was copied last got or lost an entry. */
static int read_changes(int source_fd, struct shared_root *s, struct err *err)
{
    static const char *const watched[ROOT_WATCHED] = {".", "etc"};
    for (size_t i = 0; i < ROOT_WATCHED; i++) {
        struct stat st = {0};
        if (fstatat(source_fd, watched[i], &st, 0) < 0 && i == 0)
            return err_errno(err, "stat the root");
        s->changed[i] = st.st_mtim;
    }
    return 0;
}

static bool is_same(const struct shared_root *a, const struct shared_root *b)
{
    bool same = true;
    for (size_t i = 0; i < ROOT_WATCHED; i++)
        same = same && a->changed[i].tv_sec == b->changed[i].tv_sec &&
               a->changed[i].tv_nsec == b->changed[i].tv_nsec;
    return same;
}

static struct shared_root *find(struct root_cache *c, const char *name)
{
    for (int i = 0; i < ROOT_CACHE_MAX; i++)
        if (strcmp(c->roots[i].name, name) == 0)
            return &c->roots[i];
    return NULL;
}

static bool is_host(const char *name)
{
    return strcmp(name, "host") == 0;
}

static int open_source(const char *name, struct err *err)
{
    int fd = open(is_host(name) ? "/" : name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_errno(err, "open the root %s", name) : fd;
}

int root_open(struct root_cache *c, const char *name, unsigned *ret_serial, struct err *err)
{
    _cleanup_close_ int source_fd = open_source(name, err);
    if (source_fd < 0)
        return source_fd;
    struct shared_root now = {.fd = -1}, *old = find(c, name);
    int r = read_changes(source_fd, &now, err);
    if (r < 0)
        return r;
    if (old && is_same(old, &now)) {
        *ret_serial = old->serial;
        return 0;
    }

    if (!old) {
        old = &c->roots[c->next];
        c->next = (c->next + 1) % ROOT_CACHE_MAX;
    }
    discard(old);
    if ((r = open_holder(c, err)) < 0 ||
        (r = now.fd = fs_tmpfs(ROOT_BYTES, ROOT_INODES, "0755", err)) < 0)
        return r;
    if ((r = hold(c, (int)(old - c->roots), now.fd, err)) < 0 ||
        (r = build(now.fd, source_fd, is_host(name), err)) < 0) {
        discard(&now);
        return r;
    }
    snprintf(now.name, sizeof(now.name), "%s", name);
    *ret_serial = now.serial = ++c->made;
    *old = now;
    return 0;
}

int root_fill(struct root_cache *c, const char *name, struct err *err)
{
    struct shared_root *s = find(c, name);
    if (!s)
        return err_set(err, EINVAL, "root %s is not open", name);
    if (s->is_filled)
        return 0;
    _cleanup_close_ int source_fd = open_source(name, err);
    int r = source_fd < 0 ? source_fd : root_etc_files(s->fd, source_fd, err);
    if (r < 0)
        discard(s);
    s->is_filled = r == 0;
    return r;
}

int root_make_place(struct root_cache *c, const char *name, const char *path, bool is_dir,
                    struct err *err)
{
    struct shared_root *s = find(c, name);
    if (!s)
        return err_set(err, EINVAL, "root %s is not open", name);
    /* those are made in each sandbox's own file systems (mounts.c) */
    if (strncmp(path, SPEC_HOME "/", sizeof(SPEC_HOME)) == 0 || strncmp(path, "/tmp/", 5) == 0)
        return 0;
    return path_make(s->fd, path, is_dir, err);
}

int root_copy(struct root_cache *c, const char *name, struct err *err)
{
    struct shared_root *s = find(c, name);
    if (!s)
        return err_set(err, EINVAL, "root %s is not open", name);
    _cleanup_close_ int fd =
        open_tree(s->fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
    if (fd < 0)
        return err_errno(err, "copy the root");
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_errno(err, "close the root for writing");
    return steal_fd(&fd);
}

int root_open_etc(struct root_cache *c, const char *name, struct err *err)
{
    struct shared_root *s = find(c, name);
    if (!s)
        return err_set(err, EINVAL, "root %s is not open", name);
    _cleanup_close_ int fd = open_tree(s->fd, "etc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                              .propagation = MS_PRIVATE};
    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_errno(err, "copy the root's /etc");
    return steal_fd(&fd);
}
