#include "datadir.h"

#include "common/cleanup.h"
#include "common/keys.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define LOCK_WAIT_MS 5000

static int make_folder(const char *path, struct err *err)
{
    int r = mkdir_p(path, 0700, err);
    if (r == -ENOSPC)
        return err_set(err, ENOSPC, "the disk of the data folder %s is full; free some space",
                       path);
    if (r == -EACCES || r == -EROFS)
        return err_set(err, -r,
                       "cannot make the folder %s: %s; choose a writable one with --data DIR", path,
                       strerror(-r));
    return r;
}

/* What the lock file says about who holds it, or held it; 0 where it says nothing. */
static pid_t read_holder(int fd)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    return n > 0 ? (pid_t)atoi(text) : 0;
}

static bool is_alive(pid_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

static int take_lock(struct datadir *d, struct err *err)
{
    d->lock_fd = openat(d->run_fd, "up.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock_fd < 0)
        return err_errno(err, "cannot write in the data folder %s", d->path);
    uint64_t deadline = mono_ms() + LOCK_WAIT_MS;
    while (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(err, "cannot lock %s/run/up.lock", d->path);
        pid_t holder = read_holder(d->lock_fd);
        if (is_alive(holder) || mono_ms() > deadline)
            return err_set(err, EBUSY,
                           "another `vitrine up` (process %d) runs on the data folder %s; stop it "
                           "first, or choose another folder with --data DIR",
                           (int)holder, d->path);
        poll(NULL, 0, 20);
    }
    d->after_a_crash = read_holder(d->lock_fd) > 0;
    char text[32];
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(d->lock_fd, 0) < 0 || pwrite(d->lock_fd, text, len, 0) != len)
        return err_errno(err, "cannot write %s/run/up.lock; is the disk full?", d->path);
    return 0;
}

static int read_or_make_token(struct datadir *d, struct err *err)
{
    char path[sizeof(d->path) + 16], text[128];
    snprintf(path, sizeof(path), "%s/admin.token", d->path);
    ssize_t n = file_read_small(path, text, sizeof(text));
    if (n == -ENOENT) {
        random_hex(d->token, 32);
        snprintf(text, sizeof(text), "%s\n", d->token);
        d->first_start = true;
        return file_write_whole(path, text, strlen(text), 0600, err);
    }
    if (n < 0)
        return err_set(err, (int)-n, "cannot read %s: %s", path, strerror((int)-n));
    if (n != 64 || strspn(text, "0123456789abcdef") != 64)
        return err_set(err, EINVAL,
                       "%s does not hold 64 hexadecimal digits; remove it to have a new one made",
                       path);
    memcpy(d->token, text, 65);
    return 0;
}

int datadir_open(struct datadir *d, const char *path, struct err *err)
{
    static const char *const parts[] = {"run",     "run/workers", "versions", "logs",
                                        "volumes", "uploads",     "envs"};
    int r = make_folder(path, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *full = realpath(path, NULL);
    if (!full)
        return err_errno(err, "cannot find the data folder %s", path);
    if (strlen(full) >= sizeof(d->path) - 256)
        return err_set(err, ENAMETOOLONG, "the path of the data folder is too long: %s", full);
    snprintf(d->path, sizeof(d->path), "%s", full);

    /* The lock first: whoever is there already must not see its folders touched. */
    char part[sizeof(d->path) + 64];
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        snprintf(part, sizeof(part), "%s/%s", d->path, parts[i]);
        r = make_folder(part, err);
        if (r < 0)
            return r;
        if (i > 0)
            continue;
        d->run_fd = open(part, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (d->run_fd < 0)
            return err_errno(err, "cannot open %s", part);
        r = take_lock(d, err);
        if (r < 0)
            return r;
    }
    r = keys_make(d->path, err);
    return r < 0 ? r : read_or_make_token(d, err);
}

void datadir_close(struct datadir *d)
{
    if (d->lock_fd >= 0 && ftruncate(d->lock_fd, 0) < 0)
        d->after_a_crash = true; /* the next one waits a little for nothing: harmless */
    close_fd(&d->lock_fd);
    close_fd(&d->run_fd);
}
