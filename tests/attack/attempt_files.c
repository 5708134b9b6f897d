/* Files of the host, and of the platform's read-only binds. */
#include "tests/attack/attempt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool read_in_dir(const struct attempt *a)
{
    return file_has_token(canary_path(a->path));
}

static bool write_in_dir(const struct attempt *a)
{
    return can_open(canary_path(a->path), (int)a->n);
}

static bool truncate_host_file(const struct attempt *a)
{
    return truncate(canary_path(a->path), 0) == 0;
}

static bool unlink_host_file(const struct attempt *a)
{
    return unlink(canary_path(a->path)) == 0;
}

static bool rename_host_file(const struct attempt *a)
{
    char to[4200];
    snprintf(to, sizeof(to), "%s.moved", canary_path(a->path));
    return rename(canary_path(a->path), to) == 0;
}

static bool link_host_file(const struct attempt *a)
{
    char to[4096];
    snprintf(to, sizeof(to), "%s/linked", scratch());
    return link(canary_path(a->path), to) == 0;
}

static bool chmod_host_file(const struct attempt *a)
{
    return chmod(canary_path(a->path), 0777) == 0;
}

static bool utimes_host_file(const struct attempt *a)
{
    return utimes(canary_path(a->path), NULL) == 0;
}

static bool setxattr_host_file(const struct attempt *a)
{
    return setxattr(canary_path(a->path), "user.attack", "x", 1, 0) == 0;
}

static bool create_in_host_folder(const struct attempt *a)
{
    return can_open(canary_path(a->path), O_WRONLY | O_CREAT | O_EXCL);
}

static bool list_host_folder(const struct attempt *a)
{
    DIR *d = opendir(canary_path(a->path));
    if (!d)
        return false;
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n > 2;
}

static bool climb_dots(const struct attempt *a)
{
    (void)a;
    char path[4400] = "";
    for (int i = 0; i < 40; i++)
        strncat(path, "../", sizeof(path) - strlen(path) - 1);
    strncat(path, canary_path("public"), sizeof(path) - strlen(path) - 1);
    return file_has_token(path);
}

static bool through_symlink(const struct attempt *a)
{
    (void)a;
    char link_path[4096];
    snprintf(link_path, sizeof(link_path), "%s/link", scratch());
    return symlink(canary_path("public"), link_path) == 0 && file_has_token(link_path);
}

static bool through_proc(const struct attempt *a)
{
    char path[4400];
    snprintf(path, sizeof(path), "%s%s%s", a->path, a->n ? "/../../../../../.." : "",
             canary_path("public"));
    return file_has_token(path);
}

static bool through_any_process(const struct attempt *a)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    bool found = false;
    while (d && !found && (e = readdir(d))) {
        char path[4600];
        snprintf(path, sizeof(path), "/proc/%.32s/%s%s", e->d_name, a->path, canary_path("public"));
        found = e->d_name[0] >= '0' && e->d_name[0] <= '9' && file_has_token(path);
    }
    if (d)
        closedir(d);
    return found;
}

/* ---- what the platform gives read-only, or takes part in */

static const char *ro_path(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", canary("RO"), name);
    return path;
}

static bool write_ro_bind(const struct attempt *a)
{
    return can_open(ro_path(a->path), (int)a->n);
}

static bool chmod_ro_bind(const struct attempt *a)
{
    return chmod(ro_path(a->path), 0777) == 0;
}

static bool unlink_ro_bind(const struct attempt *a)
{
    return unlink(ro_path(a->path)) == 0;
}

static bool map_ro_bind(const struct attempt *a)
{
    int fd = open(ro_path(a->path), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
}

/* Opened read-only by the platform, opened again by its own name in /proc. */
static bool reopen_stdin(const struct attempt *a)
{
    (void)a;
    struct stat st;
    return fstat(0, &st) == 0 && S_ISREG(st.st_mode) && can_open("/proc/self/fd/0", O_RDWR);
}

static bool leaked_descriptor(const struct attempt *a)
{
    (void)a;
    for (int fd = 3; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return true;
    return false;
}

static bool climb_descriptors(const struct attempt *a)
{
    (void)a;
    for (int fd = 0; fd < 1024; fd++) {
        int up = openat(fd, "../../../../../../..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int canary_fd = up < 0 ? -1 : openat(up, canary_path("public") + 1, O_RDONLY | O_CLOEXEC);
        if (canary_fd >= 0 && fd_has_token(canary_fd))
            return true;
    }
    return false;
}

static bool create_file(const struct attempt *a)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/vitrine-attack-file", a->path);
    bool made = can_open(path, O_WRONLY | O_CREAT | O_EXCL);
    if (made)
        unlink(path);
    return made;
}

static bool open_for_writing(const struct attempt *a)
{
    return can_open(a->path, O_WRONLY);
}

static bool overwrite_program(const struct attempt *a)
{
    return can_open(a->path, O_RDWR) || can_open(a->path, O_WRONLY | O_APPEND);
}

static bool run_init_again(const struct attempt *a)
{
    (void)a;
    return can_open("/proc/1/exe", O_RDONLY);
}

static bool make_node(const struct attempt *a)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/node", scratch());
    return mknod(path, (mode_t)a->n | 0600, makedev(7, 200)) == 0;
}

/* A lease: whoever opens the file then waits for its holder. */
static bool lease(const struct attempt *a)
{
    int fd = open(ro_path(a->path), O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fcntl(fd, F_SETLEASE, (int)a->n) == 0;
}

/* What overlayfs takes for a file that was deleted, in a folder that everybody sees. */
static bool make_whiteout(const struct attempt *a)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/vitrine-whiteout", a->path);
    bool made = mknod(path, S_IFCHR, 0) == 0;
    if (made)
        unlink(path);
    return made;
}

static bool overlay_attribute(const struct attempt *a)
{
    const char *place = a->n ? scratch() : ro_path("file");
    return setxattr(place, a->path, "/", 1, 0) == 0;
}

/* The inode is the host's: whoever may write to it may set its times. */
static bool touch_device(const struct attempt *a)
{
    return utimensat(AT_FDCWD, a->path, NULL, 0) == 0;
}

static const struct attempt list[] = {
    {"read-public-file", read_in_dir, "public", 0},
    {"read-private-file", read_in_dir, "private", 0},
    {"read-group-file", read_in_dir, "group", 0},
    {"read-file-of-another-uid", read_in_dir, "other-uid", 0},
    {"read-platform-database", read_in_dir, "data/site.db", 0},
    {"read-platform-token", read_in_dir, "data/admin.token", 0},
    {"read-neighbour-volume", read_in_dir, "neighbour/volume", 0},
    {"read-neighbour-log", read_in_dir, "neighbour/log", 0},
    {"write-writable-file", write_in_dir, "writable", O_WRONLY},
    {"append-writable-file", write_in_dir, "writable", O_WRONLY | O_APPEND},
    {"write-private-file", write_in_dir, "private", O_WRONLY},
    {"write-neighbour-volume", write_in_dir, "neighbour/volume", O_WRONLY},
    {"truncate-host-file", truncate_host_file, "truncated", 0},
    {"unlink-host-file", unlink_host_file, "open/unlinked", 0},
    {"rename-host-file", rename_host_file, "open/renamed", 0},
    {"hard-link-host-file", link_host_file, "writable", 0},
    {"chmod-host-file", chmod_host_file, "chmodded", 0},
    {"touch-host-file", utimes_host_file, "writable", 0},
    {"xattr-host-file", setxattr_host_file, "writable", 0},
    {"create-in-host-folder", create_in_host_folder, "open/created", 0},
    {"list-host-folder", list_host_folder, "data", 0},
    {"dot-dot-climb", climb_dots, NULL, 0},
    {"symlink-to-host-file", through_symlink, NULL, 0},
    {"proc-self-root", through_proc, "/proc/self/root", 0},
    {"proc-self-cwd", through_proc, "/proc/self/cwd", 1},
    {"proc-1-root", through_proc, "/proc/1/root", 0},
    {"proc-1-cwd", through_proc, "/proc/1/cwd", 1},
    {"proc-any-root", through_any_process, "root", 0},
    {"proc-any-cwd", through_any_process, "cwd/../../../..", 0},
    {"write-read-only-bind", write_ro_bind, "file", O_WRONLY},
    {"truncate-read-only-bind", write_ro_bind, "file", O_WRONLY | O_TRUNC},
    {"create-in-read-only-bind", write_ro_bind, "new", O_WRONLY | O_CREAT},
    {"chmod-read-only-bind", chmod_ro_bind, "file", 0},
    {"unlink-read-only-bind", unlink_ro_bind, "file", 0},
    {"map-read-only-bind-writable", map_ro_bind, "file", 0},
    {"reopen-stdin-for-writing", reopen_stdin, NULL, 0},
    {"leaked-descriptor", leaked_descriptor, NULL, 0},
    {"climb-from-descriptors", climb_descriptors, NULL, 0},
    {"create-in-root", create_file, "/", 0},
    {"create-in-etc", create_file, "/etc", 0},
    {"create-in-usr", create_file, "/usr/bin", 0},
    {"create-in-run", create_file, "/run", 0},
    {"create-in-var", create_file, "/var", 0},
    {"write-etc-passwd", open_for_writing, "/etc/passwd", 0},
    {"write-own-program", overwrite_program, "/proc/self/exe", 0},
    {"write-init-program", overwrite_program, "/proc/1/exe", 0},
    {"open-init-program", run_init_again, NULL, 0},
    {"lease-on-shared-file", lease, "file", F_WRLCK},
    {"read-lease-on-shared-file", lease, "file", F_RDLCK},
    {"whiteout-in-usr", make_whiteout, "/usr/bin", 0},
    {"whiteout-in-etc", make_whiteout, "/etc", 0},
    {"overlay-redirect-of-shared-file", overlay_attribute, "trusted.overlay.redirect", 0},
    {"overlay-user-redirect-of-shared-file", overlay_attribute, "user.overlay.redirect", 0},
    {"overlay-opaque-scratch", overlay_attribute, "trusted.overlay.opaque", 1},
    {"make-block-device", make_node, NULL, S_IFBLK},
    {"touch-device", touch_device, "/dev/full", 0},
    {"make-char-device", make_node, NULL, S_IFCHR},
};
const struct attempt_group files_group = {"escape", list, sizeof(list) / sizeof(*list)};
