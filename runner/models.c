/* See models.h. */
#include "runner/models.h"

#include "common/cleanup.h"
#include "common/preload_entry.h"
#include "common/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#define CHUNK (1 << 18)
#define PARTS_KEEP_S 86400
#define SHARE_BYTES (1 << 20)
#define SHARE_DEPTH 64
#define SHARE_NAME ".vitrine-shared"

static int make_store(const char *data, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/" MODELS_STORE, data);
    int n = mkdir_p(path, 0700, err);
    if (n < 0)
        return n;
    if (chmod(path, 0711) < 0) /* a build looks by name, below a folder that is closed */
        return err_errno(err, "open the store of models");
    return 0;
}

int models_make_folders(const char *data, uint64_t space_id, uid_t uid, struct err *err)
{
    char path[PATH_MAX];
    int n = make_store(data, err);
    if (n < 0)
        return n;
    snprintf(path, sizeof(path), "%s/" MODELS_PARTS, data);
    if ((n = mkdir_p(path, 0700, err)) < 0)
        return n;
    size_t len = strlen(path);
    snprintf(path + len, sizeof(path) - len, "/%" PRIu64, space_id);
    /* the operator may look, too: the folder above is closed to all others */
    bool made = mkdir(path, 0700) == 0;
    if ((made && chmod(path, 0755) < 0) || (!made && errno != EEXIST) || lchown(path, uid, uid) < 0)
        return err_errno(err, "cannot make the folder of what is fetched");
    return 0;
}

struct taking {
    int store, parts, tree;
};

struct blob {
    char folder[256], etag[130], sha[66], part[66];
    unsigned long long size;
};

static bool is_hash(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static int hash_of(int fd, char out[65], struct err *err)
{
    static unsigned char chunk[CHUNK];
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    ssize_t n;
    crypto_hash_sha256_init(&state);
    while ((n = read_all(fd, chunk, sizeof(chunk))) > 0)
        crypto_hash_sha256_update(&state, chunk, (size_t)n);
    if (n < 0)
        return err_set(err, (int)-n, "a fetched file cannot be read");
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(out, 65, digest, sizeof(digest));
    return 0;
}

/* Nobody has it open for writing any more, as its sandbox has ended: made nobody's first, then
 * hashed, then on the disk. */
static int close_for_writing(int fd, char sha[65], struct err *err)
{
    if (fchown(fd, geteuid(), getegid()) < 0 || fchmod(fd, 0444) < 0)
        return err_errno(err, "close a file for writing");
    int n = hash_of(fd, sha, err);
    return n == 0 && fsync(fd) < 0 ? err_errno(err, "sync a file") : n;
}

static int read_line(const char *line, struct blob *b, struct err *err)
{
    if (sscanf(line, "blob %255s %129s %65s %llu %65s", b->folder, b->etag, b->sha, &b->size,
               b->part) != 5 ||
        !preload_folder_ok(b->folder) || !preload_word_ok(b->etag) || !is_hash(b->sha) ||
        !is_hash(b->part))
        return err_set(err, EPROTO, "what was fetched cannot be read");
    return 0;
}

static int take_part(const struct taking *t, const struct blob *b, struct err *err)
{
    char sha[65];
    struct stat st;
    _cleanup_close_ int fd =
        openat(t->parts, b->part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ESTALE, "a fetched file is gone");
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, "open a fetched file");
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || (unsigned long long)st.st_size != b->size)
        return err_set(err, EPROTO, "a fetched file is not what was said of it");
    int n = close_for_writing(fd, sha, err);
    if (n == 0 && strcmp(sha, b->sha) != 0)
        n = err_set(err, EPROTO, "a fetched file is not what was said of it");
    if (n == 0 && linkat(t->parts, b->part, t->store, b->sha, 0) < 0 && errno != EEXIST)
        n = err_errno(err, "store a fetched file");
    if (n == 0 && unlinkat(t->parts, b->part, 0) < 0)
        n = err_errno(err, "take a fetched file away");
    return n;
}

static int open_folder(int dirfd, const char *name)
{
    return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* A file can have only so many links: then the next ones are to a copy, which takes the name. */
static int renew(const struct taking *t, const char *sha, struct err *err)
{
    static unsigned char chunk[CHUNK];
    char name[72];
    ssize_t n = -1;
    snprintf(name, sizeof(name), ".%s", sha);
    (void)unlinkat(t->store, name, 0);
    _cleanup_close_ int from = openat(t->store, sha, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    _cleanup_close_ int to =
        openat(t->store, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
    while (from >= 0 && to >= 0 && (n = read_all(from, chunk, sizeof(chunk))) > 0)
        if (write_all(to, chunk, (size_t)n) < 0)
            return err_errno(err, "copy a model's file");
    if (n < 0 || fsync(to) < 0 || renameat(t->store, name, t->store, sha) < 0)
        return err_errno(err, "copy a model's file");
    return 0;
}

static int take_blob(const struct taking *t, const struct blob *b, struct err *err)
{
    int n = 0;
    if (faccessat(t->store, b->sha, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        n = take_part(t, b, err);
    if (n < 0)
        return n;
    _cleanup_close_ int folder = open_folder(t->tree, b->folder);
    _cleanup_close_ int blobs = folder < 0 ? -1 : open_folder(folder, "blobs");
    if (blobs < 0)
        return err_errno(err, "open a cache");
    if (linkat(t->store, b->sha, blobs, b->etag, 0) == 0 || errno == EEXIST)
        return 0;
    if (errno == ENOENT)
        return err_set(err, ESTALE, "a model's file is gone");
    if (errno != EMLINK)
        return err_errno(err, "link to a model's file");
    n = renew(t, b->sha, err);
    if (n == 0 && linkat(t->store, b->sha, blobs, b->etag, 0) < 0)
        n = err_errno(err, "link to a model's file");
    return n;
}

static int open_at(const char *data, const char *more, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", data, more);
    int fd = open_folder(AT_FDCWD, path);
    return fd < 0 ? err_errno(err, "open %s", path) : fd;
}

int models_take(const char *data, uint64_t space_id, const char *tree, const char *lines,
                struct err *err)
{
    char own[64];
    snprintf(own, sizeof(own), "%" PRIu64, space_id);
    _cleanup_close_ int store = open_at(data, MODELS_STORE, err),
                        all = open_at(data, MODELS_PARTS, err);
    _cleanup_close_ int parts = all < 0 ? -1 : open_folder(all, own);
    _cleanup_close_ int tree_fd = open_folder(AT_FDCWD, tree);
    const struct taking t = {store, parts, tree_fd};
    if (store < 0 || parts < 0 || tree_fd < 0)
        return err_errno(err, "open what was fetched");
    int n = 0;
    for (const char *line = lines, *end; n == 0 && line && *line; line = end + (*end == '\n')) {
        char text[1024];
        struct blob b;
        end = line + strcspn(line, "\n");
        if (strncmp(line, "blob ", 5) != 0)
            continue;
        snprintf(text, sizeof(text), "%.*s", (int)(end - line), line);
        n = read_line(text, &b, err);
        if (n == 0)
            n = take_blob(&t, &b, err);
    }
    return n < 0 ? n : remove_tree(all, own, err);
}

/* ---- what a build's own command fetched ---- */

static bool is_model(const char *name)
{
    static const char *const ends[] = {".safetensors", ".gguf", ".ggml", ".onnx", ".pt",
                                       ".pth",         ".ckpt", ".bin",  ".h5",   ".tflite"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof(ends) / sizeof(*ends); i++)
        if (strcmp(dot, ends[i]) == 0)
            return true;
    return false;
}

static int share_file(int store, int dir, const char *name, struct err *err)
{
    char sha[65];
    struct stat st;
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, "open a file of a build");
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_size < SHARE_BYTES || (st.st_mode & 0111))
        return 0;
    int n = close_for_writing(fd, sha, err);
    if (n < 0)
        return n;
    if (linkat(dir, name, store, sha, 0) == 0)
        return 0;
    if (errno != EEXIST)
        return err_errno(err, "store a file of a build");
    (void)unlinkat(dir, SHARE_NAME, 0);
    if (linkat(store, sha, dir, SHARE_NAME, 0) <
        0) /* gone, or it has all its links: its own then */
        return 0;
    return renameat(dir, SHARE_NAME, dir, name) < 0 ? err_errno(err, "share a file of a build") : 0;
}

/* Closes `own`. */
static int share_folder(int store, int own, unsigned depth, struct err *err)
{
    _cleanup_closedir_ DIR *d = fdopendir(own);
    int n = 0;
    if (!d) {
        close(own);
        return err_errno(err, "list a folder of a build");
    }
    for (struct dirent *e; n == 0 && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int sub =
            e->d_type == DT_DIR && depth < SHARE_DEPTH ? open_folder(dirfd(d), e->d_name) : -1;
        if (sub >= 0)
            n = share_folder(store, sub, depth + 1, err);
        else if (e->d_type == DT_REG && is_model(e->d_name))
            n = share_file(store, dirfd(d), e->d_name, err);
    }
    return n;
}

int models_share(const char *data, const char *tree, struct err *err)
{
    int n = make_store(data, err);
    if (n < 0)
        return n;
    _cleanup_close_ int store = open_at(data, MODELS_STORE, err);
    int top = store < 0 ? -1 : open_folder(AT_FDCWD, tree);
    if (store < 0 || top < 0)
        return store < 0 ? store : err_errno(err, "open what was built");
    return share_folder(store, top, 0, err);
}

/* ---- what nobody needs ---- */

static int sweep_store(const char *data, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/" MODELS_STORE, data);
    _cleanup_closedir_ DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? 0 : err_errno(err, "list %s", path);
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_nlink == 1 && unlinkat(dirfd(dir), e->d_name, 0) < 0)
            return err_errno(err, "remove a model's file");
    }
    return 0;
}

static int sweep_parts(const char *data, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/" MODELS_PARTS, data);
    _cleanup_closedir_ DIR *dir = opendir(path);
    time_t now = time(NULL);
    int n = 0;
    for (struct dirent *e; n == 0 && dir && (e = readdir(dir));) {
        struct stat st;
        if (e->d_name[0] != '.' && fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            now - st.st_mtime > PARTS_KEEP_S)
            n = remove_tree(dirfd(dir), e->d_name, err);
    }
    return n;
}

int models_sweep(const char *data, struct err *err)
{
    int n = sweep_store(data, err);
    return n < 0 ? n : sweep_parts(data, err);
}
