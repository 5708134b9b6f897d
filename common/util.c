#include "util.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

static uint64_t clock_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t now_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000u;
}

uint64_t mono_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000u;
}

uint64_t mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

void time_iso(uint64_t ms, char out[25])
{
    time_t s = (time_t)(ms / 1000u);
    struct tm tm;
    char whole[20];
    if (!gmtime_r(&s, &tm) || strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        snprintf(out, 25, "9999-12-31T23:59:59.999Z"); /* past year 9999: nobody's clock */
        return;
    }
    snprintf(out, 25, "%s.%03uZ", whole, (unsigned)(ms % 1000u));
}

int write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

ssize_t read_all(int fd, void *data, size_t len)
{
    char *p = data;
    size_t have = 0;
    while (have < len) {
        ssize_t n = read(fd, p + have, len - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

/* Splits "a/b" into a folder (opened) and the last part. */
static int open_parent(const char *path, const char **base, struct err *err)
{
    const char *slash = strrchr(path, '/');
    *base = slash ? slash + 1 : path;
    char dir[PATH_MAX];
    if (!slash)
        snprintf(dir, sizeof dir, ".");
    else if (slash == path)
        snprintf(dir, sizeof dir, "/");
    else if ((size_t)(slash - path) >= sizeof dir)
        return err_set(err, ENAMETOOLONG, "%.200s...: the path is too long", path);
    else
        snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    if (**base == '\0')
        return err_set(err, EISDIR, "%s: a file's path cannot end in '/'", path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_errno(err, "cannot open the folder %s", dir) : fd;
}

int file_write_whole(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    const char *base;
    _cleanup_close_ int dir = open_parent(path, &base, err);
    if (dir < 0)
        return dir;
    char tag[17], tmp[NAME_MAX + 1];
    random_hex(tag, 8);
    /* A long name is cut for its temporary twin: the tag keeps it unique. */
    snprintf(tmp, sizeof tmp, ".%.200s.%s", base, tag);
    _cleanup_close_ int fd =
        openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return err_errno(err, "cannot create %s", path);
    int r = write_all(fd, data, len);
    if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0)) /* fchmod: whatever the umask is */
        r = -errno;
    if (r == 0 && renameat(dir, tmp, dir, base) < 0)
        r = -errno;
    if (r < 0) {
        unlinkat(dir, tmp, 0);
        errno = -r;
        return err_errno(err, "cannot write %s", path);
    }
    if (fsync(dir) < 0)
        return err_errno(err, "cannot sync the folder of %s", path);
    return 0;
}

ssize_t file_read_small(const char *path, char *out, size_t max)
{
    if (max == 0)
        return -EINVAL;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read_all(fd, out, max - 1);
    if (n < 0)
        return n;
    while (n > 0 && out[n - 1] == '\n')
        n--;
    out[n] = '\0';
    return n;
}

int mkdir_p(const char *path, mode_t mode, struct err *err)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0)
        return err_set(err, EINVAL, "a folder's path is empty");
    if (len >= sizeof part)
        return err_set(err, ENAMETOOLONG, "%.200s...: the path is too long", path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, mode) < 0) {
            int code = errno;
            struct stat st;
            if (stat(part, &st) < 0) {
                errno = code;
                return err_errno(err, "cannot make the folder %s", part);
            }
            if (!S_ISDIR(st.st_mode))
                return err_set(err, ENOTDIR, "%s is in the way: it is no folder", part);
        }
        if (i < len)
            part[i] = '/';
    }
    return 0;
}

/* One removal: the folder at its top (where what lies too deep is moved to) and its file system. */
struct removal {
    int top;
    dev_t dev;
    bool moved;
};
#define REMOVE_DEPTH 32

static int open_to_remove(int dirfd, const char *name, dev_t dev, struct err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    struct stat st;
    _cleanup_close_ int fd = openat(dirfd, name, flags);
    if (fd < 0 && errno == EACCES) {
        /* A folder without its owner's rights, as a tenant may leave it. */
        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode) ||
            fchmodat(dirfd, name, 0700, 0) < 0)
            errno = EACCES;
        else
            fd = openat(dirfd, name, flags);
    }
    if (fd < 0)
        return err_errno(err, "cannot open the folder %s to remove it", name);
    if (fstat(fd, &st) < 0)
        return err_errno(err, "cannot look at %s", name);
    if (dev && st.st_dev != dev)
        return err_set(err, EXDEV, "%s is another file system: unmount it first", name);
    if ((st.st_mode & 0700) != 0700)
        (void)fchmod(fd, 0700); /* if it fails, so does the removal, and says why */
    return steal_fd(&fd);
}

/* Empties the folder `own` (which it closes). Every step is relative to an open folder and follows
 * no link, so that a tenant who swaps a folder for a link meanwhile gains nothing. A folder that
 * lies deeper than REMOVE_DEPTH is moved to the top first: neither the stack nor the table of open
 * files grows with what a tenant nests. */
static int remove_inside(struct removal *rm, int own, unsigned depth, struct err *err)
{
    _cleanup_closedir_ DIR *d = fdopendir(own);
    if (!d) {
        int r = err_errno(err, "cannot read a folder to remove it");
        close(own);
        return r;
    }
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e)
            return errno ? err_errno(err, "cannot read a folder to remove it") : 0;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (e->d_type != DT_DIR) {
            if (unlinkat(own, e->d_name, 0) == 0 || errno == ENOENT)
                continue;
            if (errno != EISDIR && errno != EPERM)
                return err_errno(err, "cannot remove %s", e->d_name);
        }
        if (depth == REMOVE_DEPTH) {
            char tag[33];
            random_hex(tag, 16);
            if (renameat(own, e->d_name, rm->top, tag) < 0)
                return err_errno(err, "cannot move the folder %s to remove it", e->d_name);
            rm->moved = true;
            continue;
        }
        int sub = open_to_remove(own, e->d_name, rm->dev, err);
        if (sub < 0)
            return sub;
        int r = remove_inside(rm, sub, depth + 1, err);
        if (r < 0)
            return r;
        if (unlinkat(own, e->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
            return err_errno(err, "cannot remove the folder %s", e->d_name);
    }
}

static int remove_folder(int dirfd, const char *name, struct err *err)
{
    _cleanup_close_ int top = open_to_remove(dirfd, name, 0, err);
    if (top < 0)
        return top;
    struct stat st;
    if (fstat(top, &st) < 0)
        return err_errno(err, "cannot look at %s", name);
    struct removal rm = {.top = top, .dev = st.st_dev};
    do {
        rm.moved = false;
        int again = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r =
            again < 0 ? err_errno(err, "cannot open %s", name) : remove_inside(&rm, again, 0, err);
        if (r < 0)
            return r;
    } while (rm.moved);
    if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_errno(err, "cannot remove the folder %s", name);
    return 0;
}

int remove_tree(int dirfd, const char *name, struct err *err)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot look at %s", name);
    if (S_ISDIR(st.st_mode))
        return remove_folder(dirfd, name, err);
    if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
        return err_errno(err, "cannot remove %s", name);
    return 0;
}

void random_hex(char *out, size_t n)
{
    unsigned char raw[64];
    if (n > sizeof raw)
        n = sizeof raw;
    /* Up to 256 bytes come whole once the kernel's pool is there; before that this waits. */
    while (getrandom(raw, n, 0) != (ssize_t)n)
        ;
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
    out[2 * n] = '\0';
}

int boot_id(char out[37])
{
    ssize_t n = file_read_small("/proc/sys/kernel/random/boot_id", out, 37);
    return n < 0 ? (int)n : n == 36 ? 0 : -EIO;
}

bool fd_is_tcp(int fd)
{
    int domain = 0, type = 0, protocol = 0;
    socklen_t len = sizeof(int);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_INET &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
}

int fd_set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

int fd_set_cloexec(int fd, bool on)
{
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int exe_dir(char *out, size_t len, struct err *err)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n < 0)
        return err_errno(err, "cannot find the folder of the running program (is /proc mounted?)");
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + 1 > len)
        return err_set(err, ENAMETOOLONG, "%s: the path is too long", path);
    if (slash == path)
        slash++;
    *slash = '\0';
    snprintf(out, len, "%s", path);
    return 0;
}
