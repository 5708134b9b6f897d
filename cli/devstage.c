#include "devstage.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>

#define COPY_AT_ONCE (1u << 24)

int devstage_open(struct devstage *s, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    *s = (struct devstage){.folder = {.fd = -1}};
    snprintf(s->dir, sizeof(s->dir), "%.400s/vitrine-dev-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(s->dir)) {
        int r = err_errno(err, "cannot make a folder like %s; set TMPDIR to another place", s->dir);
        s->dir[0] = 0;
        return r;
    }
    snprintf(s->app, sizeof(s->app), "%s/app", s->dir);
    snprintf(s->data, sizeof(s->data), "%s/data", s->dir);
    if (mkdir(s->app, 0755) < 0 || chmod(s->app, 0755) < 0 || mkdir(s->data, 0777) < 0 ||
        chmod(s->data, 0777) < 0)
        return err_errno(err, "cannot make a folder in %s", s->dir);
    return 0;
}

int devstage_beside(struct devstage *next, const struct devstage *s, struct err *err)
{
    *next = (struct devstage){.folder = {.fd = -1}};
    snprintf(next->app, sizeof(next->app), "%s/next", s->dir);
    return mkdir(next->app, 0755) < 0 || chmod(next->app, 0755) < 0
               ? err_errno(err, "cannot make a folder in %s", s->dir)
               : 0;
}

void devstage_swap(struct devstage *s, struct devstage *next)
{
    struct folder folder = s->folder;
    char app[sizeof(s->app)];
    memcpy(app, s->app, sizeof(app));
    memcpy(s->app, next->app, sizeof(app));
    memcpy(next->app, app, sizeof(app));
    s->folder = next->folder;
    next->folder = folder;
}

void devstage_close(struct devstage *s)
{
    if (*s->dir)
        (void)remove_tree(AT_FDCWD, s->dir, NULL);
    folder_free(&s->folder);
    s->dir[0] = 0;
}

static bool same_entry(const struct folder_entry *a, const struct folder_entry *b)
{
    if ((a->st.st_mode & (S_IFMT | 0100)) != (b->st.st_mode & (S_IFMT | 0100)))
        return false;
    if (S_ISREG(a->st.st_mode))
        return folder_same_file(&a->st, &b->st);
    return !a->target || !strcmp(a->target, b->target);
}

static int by_path(const void *a, const void *b)
{
    const struct folder_entry *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

/* Pointers to the entries, in byte order of the paths; NULL for none or without memory. */
static const struct folder_entry **sorted(const struct folder *f)
{
    const struct folder_entry **list = calloc(f->count + 1, sizeof(struct folder_entry *));
    for (size_t i = 0; list && i < f->count; i++)
        list[i] = &f->entries[i];
    if (list)
        qsort(list, f->count, sizeof(struct folder_entry *), by_path);
    return list;
}

static const struct folder_entry *find(const struct folder_entry **list, size_t count,
                                       const struct folder_entry *e)
{
    const struct folder_entry **at =
        bsearch(&e, list, count, sizeof(struct folder_entry *), by_path);
    return at ? *at : NULL;
}

bool devstage_is_current(const struct devstage *s, const struct folder *now, const char **ret_path)
{
    return devstage_is_current_in(s, now, NULL, ret_path);
}

bool devstage_is_current_in(const struct devstage *s, const struct folder *now,
                            bool (*counts)(const char *path), const char **ret_path)
{
    const struct folder *old = &s->folder;
    _cleanup_free_ const struct folder_entry **a = sorted(old), **b = sorted(now);
    *ret_path = "";
    if (!a || !b)
        return false;
    for (size_t i = 0, k = 0; i < old->count || k < now->count;) {
        int order = !a[i] ? 1 : !b[k] ? -1 : strcmp(a[i]->path, b[k]->path);
        const struct folder_entry *e = order <= 0 ? a[i] : b[k];
        bool same = order == 0 && same_entry(a[i], b[k]);
        i += order <= 0;
        k += order >= 0;
        if (same || (counts && !counts(e->path)))
            continue;
        *ret_path = e->path;
        return false;
    }
    return true;
}

static int copy_file(const struct folder *f, const struct folder_entry *e, int app_fd,
                     struct err *err)
{
    _cleanup_close_ int from = folder_open(f, e, err);
    if (from < 0)
        return from;
    mode_t mode = e->st.st_mode & 0100 ? 0755 : 0644;
    _cleanup_close_ int to = openat(app_fd, e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (to < 0 || fchmod(to, mode) < 0)
        return err_errno(err, "cannot copy %s", e->path);
    if (ioctl(to, FICLONE, from) == 0)
        return folder_check(e, from, err);
    for (;;) {
        ssize_t n = sendfile(to, from, NULL, COPY_AT_ONCE);
        if (n < 0 && errno != EINTR)
            return err_errno(err, "cannot copy %s", e->path);
        if (n == 0)
            return folder_check(e, from, err);
    }
}

static int make_entry(const struct folder *f, const struct folder_entry *e, int app_fd,
                      struct err *err)
{
    if (S_ISREG(e->st.st_mode))
        return copy_file(f, e, app_fd, err);
    if (e->target ? symlinkat(e->target, app_fd, e->path) < 0 : mkdirat(app_fd, e->path, 0755) < 0)
        return err_errno(err, "cannot copy %s", e->path);
    return e->target || fchmodat(app_fd, e->path, 0755, 0) == 0
               ? 0
               : err_errno(err, "cannot copy %s", e->path);
}

static int sync_lists(const struct folder *old, const struct folder *now, int app_fd,
                      struct err *err)
{
    _cleanup_free_ const struct folder_entry **was = sorted(old), **is = sorted(now);
    int r = was && is ? 0 : err_set(err, ENOMEM, "out of memory");
    for (size_t i = old->count; r == 0 && i-- > 0;) { /* what is in a folder before the folder */
        const struct folder_entry *e = find(is, now->count, &old->entries[i]);
        if (!e || !same_entry(e, &old->entries[i]))
            r = remove_tree(app_fd, old->entries[i].path, err);
    }
    for (size_t i = 0; r == 0 && i < now->count; i++) {
        const struct folder_entry *e = find(was, old->count, &now->entries[i]);
        if (!e || !same_entry(e, &now->entries[i]))
            r = make_entry(now, &now->entries[i], app_fd, err);
    }
    return r;
}

int devstage_sync(struct devstage *s, struct folder *now, struct err *err)
{
    _cleanup_close_ int app_fd = open(s->app, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (app_fd < 0)
        return err_errno(err, "cannot open %s", s->app);
    int r = sync_lists(&s->folder, now, app_fd, err);
    if (r < 0) { /* half of it is there: next time everything is made anew */
        close_fd(&app_fd);
        (void)remove_tree(AT_FDCWD, s->app, NULL);
        if (mkdir(s->app, 0755) < 0 || chmod(s->app, 0755) < 0)
            return err_errno(err, "cannot make %s", s->app);
        folder_free(&s->folder);
        return r;
    }
    folder_free(&s->folder);
    s->folder = *now;
    *now = (struct folder){.fd = -1};
    return 0;
}
