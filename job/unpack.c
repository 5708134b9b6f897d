#include "job/unpack.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "job/kept.h"
#include "job/zipdir.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BLOCK = 128 * 1024 };

static void free_archive(struct archive **a)
{
    if (*a)
        archive_read_free(*a);
}

struct unpack {
    const struct unpack_options *options;
    struct archive *archive;
    struct tree *tree;
    int fd;
    uint64_t total;
    uint64_t entries, dropped, dropped_bytes;
};

static void progress(const struct unpack *u)
{
    int64_t done = archive_filter_bytes(u->archive, -1);

    if (u->options->progress)
        u->options->progress(u->options->arg, done > 0 ? (uint64_t)done : 0, u->total);
}

static int too_big(const struct unpack *u, struct err *err)
{
    char limit[32];

    format_bytes(u->tree->max_bytes, limit);
    return err_set(err, E2BIG, "the archive expands to more than %s", limit);
}

/* libarchive's own words, made one line for the submitter. */
static int archive_failed(const struct unpack *u, const char *path, struct err *err)
{
    const char *why = archive_error_string(u->archive);
    char quoted[NAMES_QUOTED_MAX], clean[200] = "it cannot be read";

    if (archive_errno(u->archive) == ENOMEM)
        return err_set(err, ENOMEM, "out of memory while the archive was read");
    if (why) {
        snprintf(clean, sizeof(clean), "%s", why);
        for (char *p = clean; *p; p++)
            if (*p < ' ' || *p > '~')
                *p = '?';
    }
    if (path)
        return err_set(err, EINVAL, "the archive is truncated or damaged at %s: %s",
                       names_quote(path, quoted), clean);
    return err_set(err, EINVAL, "the archive is truncated or damaged: %s", clean);
}

/* --- what is it? --- */

static int not_taken(const char *name, const char *what, struct err *err)
{
    char quoted[NAMES_QUOTED_MAX];

    return err_set(err, EINVAL, "%s is %s; submit a folder, .zip, .tar, .tar.gz or .tar.zst",
                   names_quote(name, quoted), what);
}

/* Looks at the first bytes. Formats that people try are named; everything unknown is left to
 * libarchive. */
static int check_magic(struct unpack *u, struct err *err)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *what;
    } others[] = {
        {"\xfd"
         "7zXZ",
         5, "xz-compressed"},
        {"BZh", 3, "bzip2-compressed"},
        {"7z\xbc\xaf", 4, "a 7-Zip archive"},
        {"Rar!", 4, "a RAR archive"},
        {"\x04\x22\x4d\x18", 4, "lz4-compressed"},
        {"\x1f\x9d", 2, "an old compress (.Z) file"},
        {"!<arch>", 7, "an ar archive"},
    };
    unsigned char head[8] = {0};

    if (pread(u->fd, head, sizeof(head), 0) < 0)
        return err_errno(err, "the archive cannot be read");
    if (u->total == 0)
        return not_taken(u->options->name, "empty", err);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (memcmp(head, others[i].magic, others[i].len) == 0)
            return not_taken(u->options->name, others[i].what, err);
    if (memcmp(head, "PK\5\6", 4) == 0) /* its end is its beginning */
        return not_taken(u->options->name, "an archive without files", err);
    if (memcmp(head, "PK\3\4", 4) == 0)
        return zipdir_check(u->fd, u->total, u->tree->max_entries, err);
    return 0;
}

/* A tar that was cut between two entries reads as a whole one; but what ends a tar is a block of
 * zeros, and a cut one ends with something else. */
static int check_tar_end(const struct unpack *u, struct err *err)
{
    char block[512];

    if (u->total < sizeof(block) || u->total % sizeof(block) != 0 ||
        pread(u->fd, block, sizeof(block), (off_t)(u->total - sizeof(block))) != sizeof(block))
        return err_set(err, EINVAL, "the archive is truncated: its last block is not whole");
    for (size_t i = 0; i < sizeof(block); i++)
        if (block[i])
            return err_set(err, EINVAL, "the archive is truncated: its end mark is missing");
    return 0;
}

/* libarchive does not know the format. */
static int unknown(const struct unpack *u, struct err *err)
{
    unsigned char head[4] = {0};

    if (pread(u->fd, head, sizeof(head), 0) == sizeof(head) &&
        (memcmp(head, "\x1f\x8b", 2) == 0 || memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0))
        return not_taken(u->options->name, "compressed, but no tar archive or a truncated one",
                         err);
    return not_taken(u->options->name, "no archive", err);
}

static int open_archive(struct unpack *u, struct err *err)
{
    struct archive *a = u->archive;

    if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
        archive_read_support_format_zip_seekable(a) != ARCHIVE_OK ||
        archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(a) != ARCHIVE_OK)
        return err_set(err, ENOSYS, "libarchive reads no zip, tar, gzip or zstd here: %s",
                       archive_error_string(a));
    if (archive_read_open_fd(a, u->fd, READ_BLOCK) != ARCHIVE_OK)
        return unknown(u, err);
    return 0;
}

/* --- one entry --- */

static int refuse(struct err *err, const char *path, const char *why)
{
    char quoted[NAMES_QUOTED_MAX];

    return err_set(err, EINVAL, "%s: %s", names_quote(path, quoted), why);
}

/* Litter is read, and counted, but kept nowhere. */
static int drop_data(struct unpack *u, const char *path, struct err *err)
{
    const void *data;
    size_t len;
    int64_t offset;
    int r;

    u->dropped++;
    while ((r = archive_read_data_block(u->archive, &data, &len, &offset)) == ARCHIVE_OK) {
        u->dropped_bytes += len;
        if (u->dropped_bytes > u->tree->max_bytes)
            return too_big(u, err);
        progress(u);
    }
    return r == ARCHIVE_EOF ? 0 : archive_failed(u, path, err);
}

/* The blob that stands for the entry's content (kept.h): whether there is one. */
static bool kept_oid(struct archive_entry *entry, char *out, size_t size)
{
    const char *name;
    const void *value;
    size_t len;

    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &len) == ARCHIVE_OK) {
        if (name && strcmp(name, KEPT_ATTRIBUTE) == 0) {
            snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), (const char *)value);
            return true;
        }
    }
    return false;
}

static int unpack_kept(struct unpack *u, struct archive_entry *entry, const char *oid,
                       const char *path, struct err *err)
{
    if (!u->options->kept)
        return refuse(err, path, "the archive leaves it out, which is for a Space's repository");
    if (archive_entry_size(entry) != 0)
        return refuse(err, path, "it has content, and says that it is left out");
    return u->options->kept(u->options->kept_arg, oid, path,
                            (archive_entry_perm(entry) & 0100) != 0, err);
}

static int unpack_file(struct unpack *u, struct archive_entry *entry, const char *path,
                       struct err *err)
{
    char oid[80];

    if (kept_oid(entry, oid, sizeof(oid)))
        return unpack_kept(u, entry, oid, path, err);

    _cleanup_tree_file_ struct tree_file file = {.fd = -1};
    bool sized = archive_entry_size_is_set(entry);
    int64_t size = sized ? archive_entry_size(entry) : 0;
    const void *data;
    size_t len;
    int64_t offset;
    int r;

    if (size < 0)
        return refuse(err, path, "its size is negative; the archive is damaged");
    /* A liar is caught while its bytes are counted; who tells the truth need not be waited for. */
    if ((uint64_t)size > u->tree->max_bytes - u->tree->bytes)
        return too_big(u, err);
    r = tree_file_open(u->tree, path, (archive_entry_perm(entry) & 0100) != 0, &file, err);
    if (r < 0)
        return r;
    while ((r = archive_read_data_block(u->archive, &data, &len, &offset)) == ARCHIVE_OK) {
        if (offset < 0)
            return refuse(err, path, "its parts overlap; the archive is damaged");
        int w = tree_file_write(&file, data, len, (uint64_t)offset, err);

        if (w < 0)
            return w;
        progress(u);
    }
    if (r != ARCHIVE_EOF)
        return archive_failed(u, path, err);
    if (sized && file.size > (uint64_t)size)
        return refuse(err, path, "it is longer than it says; the archive is damaged");
    /* A sparse file may end with a hole. */
    return tree_file_finish(&file, sized ? (uint64_t)size : file.size, err);
}

static int unpack_hardlink(struct unpack *u, const char *target, const char *path, struct err *err)
{
    char from[NAMES_PATH_MAX + 1];
    int r = names_clean(target, from, err);

    if (r < 0)
        return err_prefix(err, -r, "a hard link to");
    return tree_copy(u->tree, from, path, err);
}

static int unpack_symlink(struct unpack *u, struct archive_entry *entry, const char *path,
                          struct err *err)
{
    const char *target = archive_entry_symlink_utf8(entry);

    if (!target || !*target)
        return refuse(err, path, "a link whose target is no UTF-8");
    if (target[0] == '/')
        return refuse(err, path,
                      "a link to an absolute path; only links inside the bundle are "
                      "taken");
    return tree_symlink(u->tree, path, target, err);
}

static int unpack_entry(struct unpack *u, struct archive_entry *entry, struct err *err)
{
    const char *raw = archive_entry_pathname_utf8(entry);
    char path[NAMES_PATH_MAX + 1], why[80];

    if (!raw) {
        const char *bytes = archive_entry_pathname(entry);

        snprintf(why, sizeof(why), "a name in a bundle must be UTF-8 (entry %llu)",
                 (unsigned long long)u->entries);
        return refuse(err, bytes ? bytes : "?", why);
    }
    int r = names_clean(raw, path, err);

    if (r < 0)
        return r;
    if (archive_entry_is_encrypted(entry))
        return err_set(err, EINVAL, "the zip is encrypted; make one without a password");
    if (names_is_litter(path))
        return drop_data(u, path, err);

    const char *hardlink = archive_entry_hardlink_utf8(entry);
    mode_t type = archive_entry_filetype(entry);

    if (!*path && (type != AE_IFDIR || hardlink))
        return refuse(err, raw, "the bundle itself must be a folder");
    if (hardlink)
        return unpack_hardlink(u, hardlink, path, err);
    switch (type) {
    case AE_IFREG:
        return unpack_file(u, entry, path, err);
    case AE_IFDIR:
        return tree_mkdir(u->tree, path, err);
    case AE_IFLNK:
        return unpack_symlink(u, entry, path, err);
    case AE_IFCHR:
    case AE_IFBLK:
        return refuse(err, path, "a device; a bundle holds files, folders and links");
    case AE_IFIFO:
        return refuse(err, path, "a named pipe; a bundle holds files, folders and links");
    case AE_IFSOCK:
        return refuse(err, path, "a socket; a bundle holds files, folders and links");
    default:
        return refuse(err, path, "of unknown kind; a bundle holds files, folders and links");
    }
}

/* --- all of them --- */

/* Headers are bytes too: an archive may hold gigabytes of names and attributes. */
static int check_headers(const struct unpack *u, struct err *err)
{
    uint64_t most = u->tree->max_bytes + (uint64_t)u->tree->max_entries * 4096 + (1 << 20);
    int64_t seen = archive_filter_bytes(u->archive, 0);

    if (seen > 0 && (uint64_t)seen > most)
        return too_big(u, err);
    return 0;
}

int unpack_archive(int fd, const struct unpack_options *options, struct tree *tree,
                   uint64_t *ret_dropped, struct err *err)
{
    _cleanup_(free_archive) struct archive *a = archive_read_new();
    struct unpack u = {.options = options, .archive = a, .tree = tree, .fd = fd};
    struct archive_entry *entry;
    struct stat st;
    int r, next;

    if (!a)
        return err_set(err, ENOMEM, "out of memory");
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "the archive is no file");
    u.total = (uint64_t)st.st_size;
    r = check_magic(&u, err);
    if (r == 0)
        r = open_archive(&u, err);
    if (r < 0)
        return r;

    while ((next = archive_read_next_header(a, &entry)) != ARCHIVE_EOF) {
        /* ARCHIVE_WARN is an entry with something odd about it (a name that could not be
         * converted): unpack_entry says what. */
        if (next != ARCHIVE_OK && next != ARCHIVE_WARN) {
            if (u.entries == 0 && archive_format(a) == 0)
                return unknown(&u, err);
            return archive_failed(&u, NULL, err);
        }
        if (++u.entries > tree->max_entries)
            return err_set(err, E2BIG, "the archive has more than %zu files and folders",
                           tree->max_entries);
        /* One layer of compression (plus the one that stands for the file itself). */
        if (archive_filter_count(a) > 2)
            return not_taken(options->name, "compressed more than once", err);
        r = check_headers(&u, err);
        if (r == 0)
            r = unpack_entry(&u, entry, err);
        if (r < 0)
            return r;
        progress(&u);
    }
    if (u.entries == 0)
        return not_taken(options->name, "an archive without files", err);
    if (archive_filter_count(a) == 1 &&
        (archive_format(a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR)
        r = check_tar_end(&u, err);
    *ret_dropped = u.dropped;
    return r;
}
