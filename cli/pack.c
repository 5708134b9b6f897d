#include "pack.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "packlist.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 128

struct packer {
    struct pack *p;
    struct archive *a;
    struct archive_entry *entry;
    struct packlist list;
    void (*progress)(void *arg, uint64_t files, uint64_t bytes);
    void *arg;
    char path[4096]; /* of what is being packed, below the folder */
    char buffer[1 << 16];
};

static int archive_failed(struct packer *k, struct err *err)
{
    const char *why = archive_error_string(k->a);
    return err_set(err, archive_errno(k->a) > 0 ? archive_errno(k->a) : EIO, "cannot pack %s: %s",
                   *k->path ? k->path : "the folder", why ? why : "unknown reason");
}

/* A file in TMPDIR that is gone when its descriptor is. */
static int open_unnamed(struct err *err)
{
    const char *dir = getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    char path[4096];
    snprintf(path, sizeof(path), "%s/vitrine-XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot make a temporary file in %s; set TMPDIR to another folder",
                         dir);
    unlink(path);
    return fd;
}

static int begin_entry(struct packer *k, const struct stat *st, const char *link, struct err *err)
{
    archive_entry_clear(k->entry);
    archive_entry_set_pathname(k->entry, k->path);
    archive_entry_set_filetype(k->entry, st->st_mode & S_IFMT);
    archive_entry_set_perm(k->entry, S_ISDIR(st->st_mode) || st->st_mode & 0100 ? 0755 : 0644);
    archive_entry_set_size(k->entry, S_ISREG(st->st_mode) ? st->st_size : 0);
    if (link)
        archive_entry_set_symlink(k->entry, link);
    return archive_write_header(k->a, k->entry) < ARCHIVE_WARN ? archive_failed(k, err) : 0;
}

static int pack_file(struct packer *k, int fd, const struct stat *st, struct err *err)
{
    int r = begin_entry(k, st, NULL, err);
    uint64_t left = (uint64_t)st->st_size;
    crypto_hash_sha256_state state;
    unsigned char hash[32];
    crypto_hash_sha256_init(&state);
    while (r == 0 && left > 0) {
        ssize_t n = read_all(fd, k->buffer, left < sizeof(k->buffer) ? left : sizeof(k->buffer));
        if (n < 0)
            return err_set(err, (int)-n, "cannot read %s: %s", k->path, strerror((int)-n));
        if (n == 0)
            return err_set(err, EAGAIN, "%s became shorter while it was packed; try again",
                           k->path);
        if (archive_write_data(k->a, k->buffer, (size_t)n) != n)
            return archive_failed(k, err);
        crypto_hash_sha256_update(&state, (unsigned char *)k->buffer, (unsigned long long)n);
        left -= (uint64_t)n;
        k->p->bytes += (uint64_t)n;
        if (k->progress)
            k->progress(k->arg, k->p->files, k->p->bytes);
    }
    crypto_hash_sha256_final(&state, hash);
    return r < 0 ? r : packlist_add(&k->list, st->st_mode, hash, k->path, err);
}

static int pack_link(struct packer *k, int dir_fd, const char *name, struct err *err)
{
    struct stat st;
    char target[4096];
    unsigned char hash[32];
    ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
    if (n < 0 || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, "cannot read the link %s", k->path);
    target[n] = 0;
    int r = begin_entry(k, &st, target, err);
    crypto_hash_sha256(hash, (unsigned char *)target, (unsigned long long)n);
    return r < 0 ? r : packlist_add(&k->list, S_IFLNK, hash, k->path, err);
}

static int pack_tree(struct packer *k, int dir_fd, unsigned depth, struct err *err);

static int pack_one(struct packer *k, int dir_fd, const char *name, unsigned depth, struct err *err)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO must not hold us up before we have seen what it is. */
    _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP) {
        k->p->files++;
        return pack_link(k, dir_fd, name, err);
    }
    if (fd < 0 && errno != ENXIO)
        return err_errno(err, "cannot open %s", k->path);
    if (fd >= 0 && fstat(fd, &st) < 0)
        return err_errno(err, "cannot read %s", k->path);
    if (fd < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return err_set(err, EINVAL,
                       "%s is neither a file nor a folder nor a link; take it out of the bundle",
                       k->path);
    k->p->files++;
    if (S_ISREG(st.st_mode))
        return pack_file(k, fd, &st, err);
    int r = begin_entry(k, &st, NULL, err);
    if (r == 0)
        r = packlist_add(&k->list, S_IFDIR, NULL, k->path, err);
    return r < 0 ? r : pack_tree(k, fd, depth + 1, err);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_wanted(const struct dirent *e)
{
    return strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, ".git");
}

static int pack_tree(struct packer *k, int dir_fd, unsigned depth, struct err *err)
{
    if (depth > DEPTH_MAX)
        return err_set(err, ELOOP, "%s: folders are nested too deeply", k->path);
    struct dirent **names = NULL;
    int n = scandirat(dir_fd, ".", &names, is_wanted, by_name);
    if (n < 0)
        return err_errno(err, "cannot read the folder %s", k->path);
    size_t len = strlen(k->path);
    int r = 0;
    for (int i = 0; i < n; i++) {
        if (r == 0 && (size_t)snprintf(k->path + len, sizeof(k->path) - len, "%s%s", len ? "/" : "",
                                       names[i]->d_name) >= sizeof(k->path) - len)
            r = err_set(err, ENAMETOOLONG, "a path in the folder is too long: %s", k->path);
        if (r == 0)
            r = pack_one(k, dir_fd, names[i]->d_name, depth, err);
        if (r == 0)
            k->path[len] = 0;
        free(names[i]);
    }
    free(names);
    return r;
}

int pack_folder(struct pack *p, const char *folder,
                void (*progress)(void *arg, uint64_t files, uint64_t bytes), void *arg,
                struct err *err)
{
    *p = (struct pack){.fd = -1};
    _cleanup_close_ int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return err_errno(err, "cannot open the folder %s", folder);
    _cleanup_close_ int fd = open_unnamed(err);
    if (fd < 0)
        return fd;
    struct packer *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(err, ENOMEM, "out of memory");
    k->p = p;
    k->progress = progress;
    k->arg = arg;
    k->a = archive_write_new();
    k->entry = archive_entry_new();
    int r = 0;
    if (!k->a || !k->entry)
        r = err_set(err, ENOMEM, "out of memory");
    else if (archive_write_set_format_pax_restricted(k->a) != ARCHIVE_OK ||
             archive_write_add_filter_zstd(k->a) != ARCHIVE_OK ||
             archive_write_open_fd(k->a, fd) != ARCHIVE_OK)
        r = archive_failed(k, err);
    if (r == 0)
        r = pack_tree(k, dir_fd, 0, err);
    if (r == 0 && archive_write_close(k->a) != ARCHIVE_OK)
        r = archive_failed(k, err);
    packlist_sha(&k->list, p->sha);
    packlist_free(&k->list);
    archive_entry_free(k->entry);
    archive_write_free(k->a);
    free(k);
    off_t size = r == 0 ? lseek(fd, 0, SEEK_END) : 0;
    if (r == 0 && size < 0)
        r = err_errno(err, "cannot read the packed folder");
    if (r < 0)
        return r;
    p->archive_bytes = (uint64_t)size;
    p->fd = steal_fd(&fd);
    return 0;
}
