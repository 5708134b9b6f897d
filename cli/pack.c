#include "pack.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "packlist.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

struct packer {
    struct pack *p;
    const struct folder *folder;
    struct archive *a;
    struct archive_entry *entry;
    struct packlist list;
    bool outline;
    const char *path; /* of what is being packed, below the folder */
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
    char buffer[1 << 16];
};

static int archive_failed(struct packer *k, struct err *err)
{
    const char *why = archive_error_string(k->a);
    return err_set(err, archive_errno(k->a) > 0 ? archive_errno(k->a) : EIO, "cannot pack %s: %s",
                   k->path ? k->path : "the folder", why ? why : "unknown reason");
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

/* What of a file goes into the archive. */
static uint64_t wanted_bytes(const struct packer *k, const struct folder_entry *e)
{
    bool whole =
        S_ISREG(e->st.st_mode) && !*e->kept && (!k->outline || !strcmp(e->path, "README.md"));
    return whole ? (uint64_t)e->st.st_size : 0;
}

static int begin_entry(struct packer *k, const struct folder_entry *e, struct err *err)
{
    const struct stat *st = &e->st;
    archive_entry_clear(k->entry);
    archive_entry_set_pathname(k->entry, e->path);
    archive_entry_set_filetype(k->entry, st->st_mode & S_IFMT);
    archive_entry_set_perm(k->entry, S_ISDIR(st->st_mode) || st->st_mode & 0100 ? 0755 : 0644);
    archive_entry_set_size(k->entry, (la_int64_t)wanted_bytes(k, e));
    if (e->target)
        archive_entry_set_symlink(k->entry, e->target);
    if (*e->kept) /* job/kept.h */
        archive_entry_xattr_add_entry(k->entry, "user.vitrine.kept", e->kept, strlen(e->kept));
    return archive_write_header(k->a, k->entry) < ARCHIVE_WARN ? archive_failed(k, err) : 0;
}

static int pack_file(struct packer *k, const struct folder_entry *e, unsigned char hash[32],
                     struct err *err)
{
    _cleanup_close_ int fd = folder_open(k->folder, e, err);
    if (fd < 0)
        return fd;
    int r = begin_entry(k, e, err);
    bool send = wanted_bytes(k, e) > 0;
    uint64_t left = k->outline ? wanted_bytes(k, e) : (uint64_t)e->st.st_size;
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    while (r == 0 && left > 0) {
        ssize_t n = read_all(fd, k->buffer, left < sizeof(k->buffer) ? left : sizeof(k->buffer));
        if (n < 0)
            return err_set(err, (int)-n, "cannot read %s: %s", e->path, strerror((int)-n));
        if (n == 0)
            return err_set(err, EAGAIN, "%s became shorter while it was packed; try again",
                           e->path);
        if (send && archive_write_data(k->a, k->buffer, (size_t)n) != n)
            return archive_failed(k, err);
        crypto_hash_sha256_update(&state, (unsigned char *)k->buffer, (unsigned long long)n);
        left -= (uint64_t)n;
        k->p->bytes += (uint64_t)n;
        if (k->progress)
            k->progress(k->arg, k->p->bytes, k->folder->bytes);
    }
    crypto_hash_sha256_final(&state, hash);
    return r < 0 ? r : folder_check(e, fd, err);
}

static int pack_one(struct packer *k, const struct folder_entry *e, struct err *err)
{
    unsigned char hash[32];
    k->path = e->path;
    k->p->files++;
    int r;
    if (S_ISREG(e->st.st_mode)) {
        r = pack_file(k, e, hash, err);
    } else {
        r = begin_entry(k, e, err);
        if (e->target)
            crypto_hash_sha256(hash, (const unsigned char *)e->target, strlen(e->target));
    }
    return r < 0 ? r
                 : packlist_add(&k->list, e->st.st_mode, S_ISDIR(e->st.st_mode) ? NULL : hash,
                                e->path, err);
}

static int open_archive(struct packer *k, int fd, struct err *err)
{
    k->a = archive_write_new();
    k->entry = archive_entry_new();
    if (!k->a || !k->entry)
        return err_set(err, ENOMEM, "out of memory");
    if (archive_write_set_format_pax_restricted(k->a) != ARCHIVE_OK ||
        archive_write_add_filter_zstd(k->a) != ARCHIVE_OK ||
        archive_write_open_fd(k->a, fd) != ARCHIVE_OK)
        return archive_failed(k, err);
    return 0;
}

static int pack(struct pack *p, const struct folder *folder, bool outline,
                void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg,
                struct err *err)
{
    *p = (struct pack){.fd = -1};
    _cleanup_close_ int fd = open_unnamed(err);
    if (fd < 0)
        return fd;
    struct packer *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(err, ENOMEM, "out of memory");
    k->p = p;
    k->folder = folder;
    k->outline = outline;
    k->progress = progress;
    k->arg = arg;
    int r = open_archive(k, fd, err);
    for (size_t i = 0; r == 0 && i < folder->count; i++)
        r = pack_one(k, &folder->entries[i], err);
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

int pack_folder(struct pack *p, const struct folder *folder,
                void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg,
                struct err *err)
{
    return pack(p, folder, false, progress, arg, err);
}

int pack_outline(struct pack *p, const struct folder *folder, struct err *err)
{
    int r = pack(p, folder, true, NULL, NULL, err);
    p->sha[0] = 0;
    return r;
}
