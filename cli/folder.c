#include "folder.h"

#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 128

struct scan {
    struct folder *f;
    void (*progress)(void *arg, uint64_t files, uint64_t bytes);
    void *arg;
    char path[4096];
};

void folder_free(struct folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->entries[i].path);
        free(f->entries[i].target);
    }
    free(f->entries);
    close_fd(&f->fd);
    ignore_free(&f->ignore);
    *f = (struct folder){.fd = -1};
}

bool folder_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int add(struct scan *s, const struct stat *st, const char *target, struct err *err)
{
    struct folder *f = s->f;
    if (f->count == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 64;
        struct folder_entry *grown = reallocarray(f->entries, cap, sizeof(*grown));
        if (!grown)
            return err_set(err, ENOMEM, "out of memory");
        f->entries = grown;
        f->cap = cap;
    }
    struct folder_entry *e = &f->entries[f->count];
    *e = (struct folder_entry){.st = *st, .path = strdup(s->path)};
    if (target)
        e->target = strdup(target);
    if (!e->path || (target && !e->target)) {
        free(e->path);
        return err_set(err, ENOMEM, "out of memory");
    }
    f->count++;
    f->files++;
    f->bytes += S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    if (s->progress)
        s->progress(s->arg, f->files, f->bytes);
    return 0;
}

static int add_link(struct scan *s, int dir_fd, const char *name, const struct stat *st,
                    struct err *err)
{
    char target[4096];
    ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
    if (n < 0)
        return err_errno(err, "cannot read the link %s", s->path);
    target[n] = 0;
    return add(s, st, target, err);
}

static int scan_folder(struct scan *s, int dir_fd, unsigned depth, struct err *err);

static int scan_one(struct scan *s, int dir_fd, const char *name, unsigned depth, struct err *err)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, "cannot read %s", s->path);
    if (ignore_has(&s->f->ignore, s->path, S_ISDIR(st.st_mode)))
        return 0;
    if (S_ISLNK(st.st_mode))
        return add_link(s, dir_fd, name, &st, err);
    if (S_ISREG(st.st_mode))
        return add(s, &st, NULL, err);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, EINVAL,
                       "%s is neither a file nor a folder nor a link; take it out of the bundle",
                       s->path);
    _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open the folder %s", s->path);
    if (faccessat(fd, "pyvenv.cfg", F_OK, 0) == 0)
        return 0;
    int r = add(s, &st, NULL, err);
    return r < 0 ? r : scan_folder(s, fd, depth + 1, err);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_wanted(const struct dirent *e)
{
    return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

static int scan_folder(struct scan *s, int dir_fd, unsigned depth, struct err *err)
{
    if (depth > DEPTH_MAX)
        return err_set(err, ELOOP, "%s: folders are nested too deeply", s->path);
    struct dirent **names = NULL;
    int n = scandirat(dir_fd, ".", &names, is_wanted, by_name);
    if (n < 0)
        return err_errno(err, "cannot read the folder %s", s->path);
    size_t len = strlen(s->path);
    int r = 0;
    for (int i = 0; i < n; i++) {
        if (r == 0 && (size_t)snprintf(s->path + len, sizeof(s->path) - len, "%s%s", len ? "/" : "",
                                       names[i]->d_name) >= sizeof(s->path) - len)
            r = err_set(err, ENAMETOOLONG, "a path in the folder is too long: %s", s->path);
        if (r == 0)
            r = scan_one(s, dir_fd, names[i]->d_name, depth, err);
        if (r == 0)
            s->path[len] = 0;
        free(names[i]);
    }
    free(names);
    return r;
}

int folder_scan(struct folder *f, const char *path,
                void (*progress)(void *arg, uint64_t files, uint64_t bytes), void *arg,
                struct err *err)
{
    *f = (struct folder){.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (f->fd < 0)
        return err_errno(err, "cannot open the folder %s", path);
    struct scan *s = calloc(1, sizeof(*s));
    int r = s ? ignore_read(&f->ignore, f->fd, err) : err_set(err, ENOMEM, "out of memory");
    if (r == 0) {
        s->f = f;
        s->progress = progress;
        s->arg = arg;
        r = scan_folder(s, f->fd, 0, err);
    }
    free(s);
    if (r < 0)
        folder_free(f);
    return r;
}

static int changed(const struct folder_entry *e, struct err *err)
{
    return err_set(err, EAGAIN, "%s changed while it was read; try again", e->path);
}

int folder_open(const struct folder *f, const struct folder_entry *e, struct err *err)
{
    /* O_NONBLOCK: what is a FIFO by now must not hold us up. */
    _cleanup_close_ int fd = openat(f->fd, e->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? changed(e, err)
                                                 : err_errno(err, "cannot open %s", e->path);
    int r = folder_check(e, fd, err);
    return r < 0 ? r : steal_fd(&fd);
}

int folder_check(const struct folder_entry *e, int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "cannot read %s", e->path);
    return folder_same_file(&st, &e->st) ? 0 : changed(e, err);
}
