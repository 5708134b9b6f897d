#include "job/tree.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(struct err *err, int code, const char *path, const char *why)
{
    char quoted[NAMES_QUOTED_MAX];

    return err_set(err, code, "%s: %s", names_quote(path, quoted), why);
}

/* A system call failed on `path`. A full disk is the server's matter, so it is said as such. */
static int failed(struct err *err, const char *path)
{
    int code = errno;

    if (code == ENOSPC || code == EDQUOT)
        return err_set(err, code, "the server's disk is full; nothing was changed");
    if (code == EEXIST || code == ENOTDIR || code == EISDIR || code == ELOOP)
        return refuse(err, EEXIST, path, "the archive has it twice");
    return refuse(err, code, path, strerror(code));
}

void tree_init(struct tree *tree, int root_fd, uint64_t max_bytes, size_t max_entries)
{
    *tree = (struct tree){
        .root_fd = root_fd, .max_bytes = max_bytes, .max_entries = max_entries, .folder_fd = -1};
}

void tree_free(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        free(tree->entries[i]->target);
        free(tree->entries[i]);
    }
    free(tree->entries);
    close_fd(&tree->folder_fd);
    *tree = (struct tree){.folder_fd = -1};
}

static int add_entry(struct tree *tree, enum tree_kind kind, const char *path, size_t len,
                     struct tree_entry **ret, struct err *err)
{
    if (tree->count >= tree->max_entries)
        return err_set(err, E2BIG, "the archive has more than %zu files and folders",
                       tree->max_entries);
    if (tree->count == tree->cap) {
        size_t cap = tree->cap ? tree->cap * 2 : 64;
        struct tree_entry **grown = reallocarray(tree->entries, cap, sizeof(*grown));

        if (!grown)
            return err_set(err, ENOMEM, "out of memory");
        tree->entries = grown;
        tree->cap = cap;
    }
    struct tree_entry *e = calloc(1, sizeof(*e) + len + 1);

    if (!e)
        return err_set(err, ENOMEM, "out of memory");
    e->kind = kind;
    memcpy(e->path_store, path, len);
    e->path = e->path_store;
    tree->entries[tree->count++] = e;
    *ret = e;
    return 0;
}

/* Takes back the entry that was added last, when what it stands for could not be made. */
static void drop_last(struct tree *tree)
{
    struct tree_entry *e = tree->entries[--tree->count];

    free(e->target);
    free(e);
}

/* Makes the folder path[0..len) in `parent` if it is not there, and opens it. */
static int enter_folder(struct tree *tree, int parent, const char *path, size_t start, size_t len,
                        struct err *err)
{
    char name[NAMES_COMPONENT_MAX + 1];

    memcpy(name, path + start, len - start);
    name[len - start] = '\0';
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    if (errno != ENOENT)
        return failed(err, path);
    struct tree_entry *e;
    int r = add_entry(tree, TREE_DIR, path, len, &e, err);

    if (r < 0)
        return r;
    if (mkdirat(parent, name, 0755) < 0) {
        r = failed(err, path);
        drop_last(tree);
        return r;
    }
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : failed(err, path);
}

/* Makes and enters every folder of path[0..len); keeps the last one open, since the next entry of
 * an archive is most often beside this one. Returns a descriptor that the tree owns. */
static int open_folder(struct tree *tree, const char *path, size_t len, struct err *err)
{
    if (len == 0)
        return tree->root_fd;
    if (tree->folder_fd >= 0 && strlen(tree->folder) == len && !memcmp(tree->folder, path, len))
        return tree->folder_fd;

    _cleanup_close_ int fd = -1;

    for (size_t start = 0; start < len;) {
        size_t end = start + strcspn(path + start, "/");
        int next = enter_folder(tree, fd >= 0 ? fd : tree->root_fd, path, start, end, err);

        if (next < 0)
            return next;
        close_fd(&fd);
        fd = next;
        start = end + 1;
    }
    close_fd(&tree->folder_fd);
    tree->folder_fd = steal_fd(&fd);
    memcpy(tree->folder, path, len);
    tree->folder[len] = '\0';
    return tree->folder_fd;
}

/* The folder of `path`, and its last component. */
static int open_parent(struct tree *tree, const char *path, const char **ret_name, struct err *err)
{
    const char *slash = strrchr(path, '/');

    *ret_name = slash ? slash + 1 : path;
    return open_folder(tree, path, slash ? (size_t)(slash - path) : 0, err);
}

int tree_mkdir(struct tree *tree, const char *path, struct err *err)
{
    int fd = open_folder(tree, path, strlen(path), err);

    return fd < 0 ? fd : 0;
}

int tree_symlink(struct tree *tree, const char *path, const char *target, struct err *err)
{
    struct tree_entry *e;
    const char *name;
    int r = open_parent(tree, path, &name, err);

    if (r < 0)
        return r;
    if (strlen(target) > NAMES_PATH_MAX)
        return refuse(err, EINVAL, path, "the link's target is longer than 1024 bytes");
    r = add_entry(tree, TREE_LINK, path, strlen(path), &e, err);
    if (r < 0)
        return r;
    e->target = strdup(target);
    if (!e->target)
        return err_set(err, ENOMEM, "out of memory");
    crypto_hash_sha256(e->hash, (const unsigned char *)target, strlen(target));
    return 0;
}

/* --- files --- */

int tree_file_open(struct tree *tree, const char *path, bool executable, struct tree_file *ret,
                   struct err *err)
{
    const char *name;
    int dir = open_parent(tree, path, &name, err);

    if (dir < 0)
        return dir;
    struct tree_entry *e;
    int r = add_entry(tree, executable ? TREE_EXEC : TREE_FILE, path, strlen(path), &e, err);

    if (r < 0)
        return r;
    _cleanup_close_ int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                    executable ? 0755 : 0644);

    if (fd < 0) {
        r = failed(err, path);
        drop_last(tree);
        return r;
    }
    crypto_hash_sha256_state *state = malloc(sizeof(*state));

    if (!state)
        return err_set(err, ENOMEM, "out of memory");
    crypto_hash_sha256_init(state);
    *ret = (struct tree_file){.tree = tree, .entry = e, .fd = steal_fd(&fd), .hash_state = state};
    return 0;
}

/* Room for the file to grow to `size`. */
static int grow(struct tree_file *file, uint64_t size, struct err *err)
{
    struct tree *tree = file->tree;

    if (size > tree->max_bytes || size - file->size > tree->max_bytes - tree->bytes) {
        char limit[32];

        format_bytes(tree->max_bytes, limit);
        return err_set(err, E2BIG, "the archive expands to more than %s", limit);
    }
    tree->bytes += size - file->size;
    return 0;
}

static void hash_zeros(struct tree_file *file, uint64_t count)
{
    static const unsigned char zeros[65536];

    while (count > 0) {
        size_t n = count < sizeof(zeros) ? (size_t)count : sizeof(zeros);

        crypto_hash_sha256_update(file->hash_state, zeros, n);
        count -= n;
    }
}

int tree_file_write(struct tree_file *file, const void *data, size_t len, uint64_t offset,
                    struct err *err)
{
    const char *path = file->entry->path;

    if (len == 0)
        return 0;
    if (offset < file->size || offset > UINT64_MAX - len)
        return refuse(err, EINVAL, path, "its parts overlap; the archive is damaged");
    int r = grow(file, offset + len, err);

    if (r < 0)
        return r;
    hash_zeros(file, offset - file->size);
    if (lseek(file->fd, (off_t)offset, SEEK_SET) < 0)
        return failed(err, path);
    r = write_all(file->fd, data, len);
    if (r < 0) {
        errno = -r;
        return failed(err, path);
    }
    crypto_hash_sha256_update(file->hash_state, data, len);
    file->size = offset + len;
    return 0;
}

int tree_file_finish(struct tree_file *file, uint64_t size, struct err *err)
{
    if (size > file->size) {
        int r = grow(file, size, err);

        if (r < 0)
            return r;
        hash_zeros(file, size - file->size);
        if (ftruncate(file->fd, (off_t)size) < 0)
            return failed(err, file->entry->path);
        file->size = size;
    }
    file->entry->bytes = file->size;
    crypto_hash_sha256_final(file->hash_state, file->entry->hash);
    return 0;
}

void tree_file_close(struct tree_file *file)
{
    close_fd(&file->fd);
    free(steal_ptr(file->hash_state));
}

int tree_copy(struct tree *tree, const char *from, const char *path, struct err *err)
{
    _cleanup_tree_file_ struct tree_file file = {.fd = -1};
    _cleanup_close_ int source = tree_open(tree, from, O_RDONLY | O_NONBLOCK);
    struct stat st;
    char data[65536];

    if (source < 0 || fstat(source, &st) < 0 || !S_ISREG(st.st_mode))
        return refuse(err, EINVAL, path, "a hard link to no file that is before it in the archive");
    int r = tree_file_open(tree, path, (st.st_mode & 0100) != 0, &file, err);

    for (uint64_t at = 0; r == 0;) {
        ssize_t n = read_all(source, data, sizeof(data));

        if (n < 0) {
            errno = (int)-n;
            return failed(err, from);
        }
        if (n == 0)
            return tree_file_finish(&file, at, err);
        r = tree_file_write(&file, data, (size_t)n, at, err);
        at += (uint64_t)n;
    }
    return r;
}

int tree_take(struct tree *tree, int fd, uint64_t size, const unsigned char hash[32],
              const char *path, bool executable, struct err *err)
{
    _cleanup_tree_file_ struct tree_file file = {.fd = -1};
    loff_t from = 0, to = 0;
    int r = tree_file_open(tree, path, executable, &file, err);

    if (r == 0)
        r = grow(&file, size, err);
    while (r == 0 && (uint64_t)from < size) {
        ssize_t n = copy_file_range(fd, &from, file.fd, &to, (size_t)(size - (uint64_t)from), 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
    }
    if (r == 0 && (uint64_t)from < size) { /* not between these two: by hand, from there on */
        char data[65536];
        ssize_t n = 0;

        if (lseek(fd, from, SEEK_SET) < 0 || lseek(file.fd, to, SEEK_SET) < 0)
            return failed(err, path);
        while (r == 0 && (n = read_all(fd, data, sizeof(data))) > 0) {
            r = write_all(file.fd, data, (size_t)n);
            from += n;
        }
        errno = r < 0 ? -r : n < 0 ? (int)-n : EIO;
        if (r < 0 || (uint64_t)from != size)
            return failed(err, path);
    }
    if (r < 0)
        return r;
    file.size = file.entry->bytes = size;
    memcpy(file.entry->hash, hash, sizeof(file.entry->hash));
    return 0;
}
