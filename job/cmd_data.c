/* `vitrine-job data` and `vitrine-job data-delete`: what a Space keeps in /data, as its own uid.
 * The demo wrote it, and may write to it at this moment: no link is followed, no name believed,
 * nothing but regular files is read.
 *
 *   data         what=list path=            stdout: {"path","entries":[{"name","enc","type","size",
 *                                           "modified"}],"more"}
 *   data         what=file path= [offset=] [length=]
 *                                           stdout: {"size","length"} as `serve` has it, the bytes
 *   data-delete  path=                      a file, or a folder with everything in it
 *
 * Paths are bytes below /data, "" for that itself. `name` is for people (UTF-8 without control
 * characters), `enc` the name's own bytes, percent-encoded. */
#include "common/cleanup.h"
#include "common/utf8.h"
#include "common/util.h"
#include "job/job.h"
#include "job/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DATA "/job/data"
#define ENTRIES_MAX 1000
#define LOOKED_AT_MAX 100000
#define DEPTH_MAX 64

/* Opens the folder that holds the path's last part, component by component; *name is that part, ""
 * for the top itself. */
static int open_parent(const char *path, char name[256], struct err *err)
{
    char quoted[NAMES_QUOTED_MAX];
    _cleanup_close_ int dir = open(DATA, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0)
        return err_errno(err, "/data cannot be opened");
    name[0] = 0;
    for (int depth = 0; *path; depth++) {
        size_t len = strcspn(path, "/");
        if (len == 0 || len > 255 || depth == DEPTH_MAX || strncmp(path, ".", len) == 0 ||
            strncmp(path, "..", len) == 0)
            return err_set(err, EINVAL, "no such path in /data");
        if (name[0]) {
            int next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            if (next < 0)
                return err_set(err, ENOENT, "there is no folder %s", names_quote(name, quoted));
            close(dir);
            dir = next;
        }
        memcpy(name, path, len);
        name[len] = 0;
        path += len;
        if (*path == '/' && path[1])
            path++;
        else if (*path)
            return err_set(err, EINVAL, "no such path in /data");
    }
    return steal_fd(&dir);
}

struct entry {
    char *name;
    struct stat st;
};

static int by_kind_and_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int d = S_ISDIR(y->st.st_mode) - S_ISDIR(x->st.st_mode);
    return d ? d : strcmp(x->name, y->name);
}

static int encode(const char *name, struct buf *out)
{
    int r = 0;
    for (const unsigned char *p = (const unsigned char *)name; r >= 0 && *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '-' || *p == '_' || *p == '.';
        r = buf_printf(out, plain ? "%c" : "%%%02X", *p);
    }
    return r < 0 ? r : 0;
}

/* For people: what is no character, or moves the cursor, is a question mark. */
static int show(const char *name, struct buf *out)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && name[i];) {
        size_t n = utf8_len(name + i);
        bool good =
            n > 0 && (unsigned char)name[i] >= 0x20 && name[i] != 0x7f &&
            !(n == 2 && (unsigned char)name[i] == 0xc2 && (unsigned char)name[i + 1] < 0xa0);
        r = good ? buf_append(out, name + i, n) : buf_puts(out, "?");
        i += good ? n : 1;
    }
    return r < 0 ? r : 0;
}

static const char *type_of(mode_t mode)
{
    return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "link" : "other";
}

static json_t *entry_json(const struct entry *e)
{
    _cleanup_buf_ struct buf enc = BUF_INIT(1024);
    _cleanup_buf_ struct buf name = BUF_INIT(1024);
    char at[25];
    if (encode(e->name, &enc) < 0 || show(e->name, &name) < 0)
        return NULL;
    time_iso(e->st.st_mtim.tv_sec > 0 ? (uint64_t)e->st.st_mtim.tv_sec * 1000 : 0, at);
    return json_pack("{s:s, s:s, s:s, s:I, s:s}", "name", name.data ? name.data : "", "enc",
                     enc.data ? enc.data : "", "type", type_of(e->st.st_mode), "size",
                     S_ISREG(e->st.st_mode) ? (json_int_t)e->st.st_size : (json_int_t)0, "modified",
                     at);
}

/* As many as are shown, of those that come first; *more: there are others. */
static size_t read_entries(DIR *d, struct entry *entries, bool *more)
{
    size_t n = 0;
    const struct dirent *e;
    *more = false;
    for (int seen = 0; seen < LOOKED_AT_MAX && (e = readdir(d)); seen++) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (n == ENTRIES_MAX) {
            *more = true;
            break;
        }
        struct entry *to = &entries[n];
        if (fstatat(dirfd(d), e->d_name, &to->st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !(to->name = strdup(e->d_name)))
            continue;
        n++;
    }
    return n;
}

static int list(const char *path, struct err *err)
{
    char name[256], quoted[NAMES_QUOTED_MAX];
    _cleanup_close_ int parent = open_parent(path, name, err);
    if (parent < 0)
        return parent;
    int fd = openat(parent, name[0] ? name : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    _cleanup_closedir_ DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        close_fd(&fd);
        return err_set(err, ENOENT, "there is no folder %s", names_quote(path, quoted));
    }
    struct entry *entries = calloc(ENTRIES_MAX, sizeof *entries);
    if (!entries)
        return err_set(err, ENOMEM, "out of memory");
    bool more;
    size_t n = read_entries(d, entries, &more);
    qsort(entries, n, sizeof *entries, by_kind_and_name);
    _cleanup_buf_ struct buf shown = BUF_INIT(8192);
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(array, entry_json(&entries[i]));
        free(entries[i].name);
    }
    free(entries);
    if (show(path, &shown) < 0)
        buf_clear(&shown);
    return job_print(json_pack("{s:s, s:o, s:b}", "path", shown.data ? shown.data : "", "entries",
                               array, "more", more),
                     err);
}

static int send_file(const struct job *job, const char *path, struct err *err)
{
    static char data[256 * 1024];
    char name[256], quoted[NAMES_QUOTED_MAX], head[96];
    struct stat st;
    _cleanup_close_ int parent = open_parent(path, name, err);
    if (parent < 0)
        return parent;
    /* not waiting: a pipe that nobody writes to would hold us for ever */
    _cleanup_close_ int fd =
        openat(parent, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (!name[0] || fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, ENOENT, "there is no file %s", names_quote(path, quoted));
    uint64_t size = (uint64_t)st.st_size, offset = job_number(job, "offset", UINT64_MAX, 0);
    offset = offset < size ? offset : size;
    uint64_t left = job_number(job, "length", UINT64_MAX, UINT64_MAX);
    left = left < size - offset ? left : size - offset;
    int n =
        snprintf(head, sizeof head, "{\"size\":%" PRIu64 ",\"length\":%" PRIu64 "}\n", size, left);
    if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
        return err_errno(err, "the file cannot be read");
    int r = write_all(STDOUT_FILENO, head, (size_t)n);
    while (r == 0 && left > 0) {
        ssize_t got = read(fd, data, left < sizeof data ? (size_t)left : sizeof data);
        if (got <= 0)
            return err_set(err, EIO, "the file became shorter while it was read");
        r = write_all(STDOUT_FILENO, data, (size_t)got);
        left -= (uint64_t)got;
    }
    return r < 0 ? err_set(err, EPIPE, "nobody reads the answer") : 0;
}

int job_data(struct job *job, struct err *err)
{
    const char *path = job_arg(job, "path", "");
    return strcmp(job_arg(job, "what", "list"), "file") == 0 ? send_file(job, path, err)
                                                             : list(path, err);
}

int job_data_delete(struct job *job, struct err *err)
{
    const char *path = job_arg(job, "path", "");
    char name[256], quoted[NAMES_QUOTED_MAX];
    struct stat st;
    _cleanup_close_ int parent = open_parent(path, name, err);
    if (parent < 0)
        return parent;
    if (!name[0])
        return err_set(err, EINVAL, "all of /data goes with its Space alone: name what is to go");
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(err, ENOENT, "there is no %s in /data", names_quote(path, quoted));
    if (!S_ISDIR(st.st_mode))
        return unlinkat(parent, name, 0) < 0 ? err_errno(err, "it cannot be deleted") : 0;
    return remove_tree(parent, name, err);
}
