/* See sweep.h. Nothing lives in there any more, so nothing changes but by us; what a tenant has
 * left may be shaped as it likes, though. */
#include "sweep.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define FEW 2000         /* files of a file system: their callbacks are few enough */
#define AT_ONCE 250      /* removed, */
#define PAUSE_NS 3000000 /* and then rested so long: some 2000 in each grace period of 20 ms */
#define MOST_MS 10000    /* in all */
#define MOST_DEPTH 16    /* what lies deeper is moved up */
#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME)

void own_files_note(struct own_files *own, int fd)
{
    struct stat st;
    if (own->n < OWN_FILES_MAX && fstat(fd, &st) == 0)
        own->dev[own->n++] = st.st_dev;
}

static bool is_own(const struct own_files *own, dev_t dev)
{
    for (int i = 0; i < own->n; i++)
        if (own->dev[i] == dev)
            return true;
    return false;
}

struct sweep {
    uint64_t end_ms;
    dev_t dev;
    int top;
    unsigned removed, moved;
};

/* False when it has taken too long. */
static bool removed_one(struct sweep *s)
{
    if (++s->removed % AT_ONCE)
        return true;
    (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    return mono_ms() < s->end_ms;
}

static int open_folder(const struct sweep *s, int dirfd, const char *name)
{
    int fd = openat(dirfd, name, FOLDER);
    struct stat st;
    if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_dev != s->dev)) /* something is mounted there */
        close_fd(&fd);
    return fd;
}

/* As its owner: the kernel makes no name for somebody whom the file system's user namespace does
 * not know, as root (EOVERFLOW). */
static void move_up(struct sweep *s, int from, const char *name)
{
    struct stat st;
    char up[32];
    snprintf(up, sizeof(up), ".vitrine-sweep-%u", s->moved);
    if (fstat(from, &st) < 0)
        return;
    (void)fchmod(from, 0700);
    (void)setfsgid(st.st_gid);
    (void)setfsuid(st.st_uid);
    if (renameat(from, name, s->top, up) == 0)
        s->moved++;
    (void)setfsuid(geteuid());
    (void)setfsgid(getegid());
}

/* The tenant's folders nest as deep as it likes, and neither the stack nor the table of open files
 * grows with that. Takes `own`. */
static bool empty_folder(struct sweep *s, int own, unsigned depth)
{
    _cleanup_closedir_ DIR *d = fdopendir(own);
    if (!d) {
        close(own);
        return true;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int sub = -1;
        if (e->d_type == DT_DIR && depth == MOST_DEPTH) {
            move_up(s, own, e->d_name);
        } else if (e->d_type == DT_DIR) {
            sub = open_folder(s, own, e->d_name);
        }
        if (sub >= 0 && !empty_folder(s, sub, depth + 1))
            return false;
        (void)unlinkat(own, e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
        if (!removed_one(s))
            return false;
    }
    return true;
}

static void sweep_mount(const char *path, dev_t dev, uint64_t end_ms)
{
    struct statvfs fs;
    struct sweep s = {.end_ms = end_ms, .dev = dev};
    _cleanup_close_ int top = s.top = open_folder(&s, AT_FDCWD, path);
    unsigned moved;
    if (top < 0 || fstatvfs(top, &fs) < 0 || fs.f_files - fs.f_ffree <= FEW)
        return;
    do {
        moved = s.moved;
        int again = openat(top, ".", FOLDER);
        if (again < 0 || !empty_folder(&s, again, 0))
            return;
    } while (s.moved != moved);
}

/* ID PARENT MAJOR:MINOR ROOT PATH OPTIONS ..., where strange characters of PATH are escaped
 * (proc(5)): our own have none. */
static void sweep_mounts(FILE *mounts, const struct own_files *own, uint64_t end_ms)
{
    char line[8192], path[4096];
    while (fgets(line, sizeof(line), mounts)) {
        unsigned major, minor;
        if (sscanf(line, "%*u %*u %u:%u %*s %4095s", &major, &minor, path) == 3 &&
            is_own(own, makedev(major, minor)))
            sweep_mount(path, makedev(major, minor), end_ms);
    }
}

void sweep(int mounts_fd, const struct own_files *own)
{
    static int proc = -1, home = -1; /* of where we come from */
    if (own->n == 0)
        return;
    if (proc < 0)
        proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (home < 0)
        home = openat(proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (home < 0 || setns(mounts_fd, CLONE_NEWNS) < 0)
        return;
    int fd = openat(proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
    _cleanup_fclose_ FILE *mounts = fd < 0 ? NULL : fdopen(fd, "re");
    if (mounts)
        sweep_mounts(mounts, own, mono_ms() + MOST_MS);
    else
        close_fd(&fd);
    (void)setns(home, CLONE_NEWNS);
}
