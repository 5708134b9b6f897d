#include "runner/logs.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/runner.h"
#include "runner/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STAMP_LEN 25 /* "2026-11-23T06:28:00.123Z " */
#define TAIL_BYTES 16384
#define TAIL_LINES 100

static void folder_of(const struct runner *r, uint64_t space_id, char *out, size_t size)
{
    snprintf(out, size, "%s/logs/%" PRIu64, r->data, space_id);
}

static int open_folder(struct runner *r, uint64_t space_id, bool make, struct err *err)
{
    char path[PATH_MAX];
    folder_of(r, space_id, path, sizeof(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT && make) {
        int n = mkdir_p(path, 0700, err);
        if (n < 0)
            return n;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    }
    return fd < 0 ? err_errno(err, "cannot open %s", path) : fd;
}

static int open_part(int folder, uint64_t worker_id, int part, int flags)
{
    char name[64];
    snprintf(name, sizeof(name), "%" PRIu64 ".%d.log", worker_id, part);
    return openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int logs_open_parts(struct runner *r, uint64_t space_id, uint64_t worker_id, int fds[2],
                    struct err *err)
{
    _cleanup_close_ int folder = open_folder(r, space_id, true, err);
    if (folder < 0)
        return folder;
    for (int i = 0; i < 2; i++) {
        fds[i] = open_part(folder, worker_id, i, O_CREAT | O_WRONLY | O_APPEND);
        if (fds[i] < 0)
            return err_errno(err, "cannot make the run log of worker %" PRIu64, worker_id);
    }
    return 0;
}

static bool later(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec != b->st_mtim.tv_sec ? a->st_mtim.tv_sec > b->st_mtim.tv_sec
                                                  : a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

int logs_open_run(struct runner *r, uint64_t space_id, uint64_t worker_id, int fds[2],
                  unsigned *ret_current, struct err *err)
{
    _cleanup_close_ int folder = open_folder(r, space_id, false, err);
    if (folder < 0)
        return folder;
    _cleanup_close_ int a = open_part(folder, worker_id, 0, O_RDONLY);
    _cleanup_close_ int b = open_part(folder, worker_id, 1, O_RDONLY);
    struct stat sa, sb;
    if (a < 0 || b < 0 || fstat(a, &sa) < 0 || fstat(b, &sb) < 0)
        return err_set(err, ENOENT, "worker %" PRIu64 " has no log", worker_id);
    /* PID 1 begins with part 0; an untouched part 1 is the older, empty one. */
    bool one_grows = sb.st_size > 0 && (later(&sb, &sa) || sa.st_size == 0);
    fds[0] = one_grows ? steal_fd(&a) : steal_fd(&b);
    fds[1] = one_grows ? steal_fd(&b) : steal_fd(&a);
    *ret_current = 1;
    return 0;
}

int logs_open_build(struct runner *r, uint64_t space_id, struct err *err)
{
    _cleanup_close_ int folder = open_folder(r, space_id, false, err);
    if (folder < 0)
        return folder;
    int fd = openat(folder, "build.log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? err_errno(err, "there is no build log") : fd;
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

void logs_prune(struct runner *r, uint64_t space_id, uint64_t keep)
{
    int fd = open_folder(r, space_id, false, NULL);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        close_fd(&fd);
        return;
    }
    _cleanup_free_ uint64_t *ids = NULL;
    size_t n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        uint64_t id;
        int end = 0;
        if (sscanf(e->d_name, "%" SCNu64 ".0.log%n", &id, &end) != 1 || !end || e->d_name[end])
            continue;
        uint64_t *more = reallocarray(ids, n + 1, sizeof(uint64_t));
        if (!more)
            return;
        ids = more;
        ids[n++] = id;
    }
    if (n)
        qsort(ids, n, sizeof(uint64_t), newest_first);
    for (size_t i = keep; i < n; i++) {
        if (worker_by_id(r, ids[i]))
            continue;
        for (int part = 0; part < 2; part++) {
            char name[64];
            snprintf(name, sizeof(name), "%" PRIu64 ".%d.log", ids[i], part);
            unlinkat(dirfd(dir), name, 0);
        }
    }
}

static const char *without_stamp(const char *line)
{
    return strlen(line) >= STAMP_LEN && line[4] == '-' && line[STAMP_LEN - 2] == 'Z'
               ? line + STAMP_LEN
               : line;
}

void logs_last_lines(struct runner *r, uint64_t space_id, uint64_t worker_id, unsigned lines,
                     char *out, size_t size)
{
    out[0] = 0;
    int fds[2];
    unsigned current;
    if (logs_open_run(r, space_id, worker_id, fds, &current, NULL) < 0)
        return;
    _cleanup_close_ int older = fds[0], newer = fds[1];
    _cleanup_free_ char *text = malloc(2 * TAIL_BYTES + 1);
    size_t len = 0;
    for (int i = 0; text && i < 2; i++) {
        struct stat st;
        int fd = i ? newer : older;
        if (fstat(fd, &st) < 0)
            continue;
        off_t from = st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0;
        ssize_t n = pread(fd, text + len, TAIL_BYTES, from);
        len += n > 0 ? (size_t)n : 0;
    }
    if (!text || !len)
        return;
    text[len] = 0;
    char *start = text + len;
    if (start[-1] == '\n')
        *--start = 0;
    while (start > text && lines) {
        while (start > text && start[-1] != '\n')
            start--;
        if (!--lines || start == text)
            break;
        start--;
    }
    size_t used = 0;
    for (char *save = NULL, *line = strtok_r(start, "\n", &save); line && used + 1 < size;
         line = strtok_r(NULL, "\n", &save)) {
        int n = snprintf(out + used, size - used, "%s%s", used ? "\n" : "", without_stamp(line));
        used += (size_t)n < size - used ? (size_t)n : size - used - 1;
    }
    for (char *c = out; *c; c++) { /* no orders to the terminal of who reads it */
        if (((unsigned char)*c < ' ' && *c != '\n' && *c != '\t') || *c == 0x7f)
            *c = '?';
    }
}

void logs_tail(struct runner *r, uint64_t space_id, uint64_t worker_id, struct log_tail *t,
               void (*fn)(void *arg, const char *line), void *arg)
{
    _cleanup_close_ int folder = open_folder(r, space_id, false, NULL);
    _cleanup_free_ char *text = folder < 0 ? NULL : malloc(TAIL_BYTES + 1);
    for (int part = 0, count = 0; text && part < 2; part++) {
        _cleanup_close_ int fd = open_part(folder, worker_id, part, O_RDONLY);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
            continue;
        if ((uint64_t)st.st_size < t->offset[part]) /* cut, and begun anew */
            t->offset[part] = 0;
        if ((uint64_t)st.st_size > t->offset[part] + TAIL_BYTES) /* nobody reads that fast */
            t->offset[part] = (uint64_t)st.st_size - TAIL_BYTES;
        ssize_t n = pread(fd, text, TAIL_BYTES, (off_t)t->offset[part]);
        if (n <= 0)
            continue;
        char *line = text, *stop = text + n, *end;
        for (; count < TAIL_LINES && (end = memchr(line, '\n', (size_t)(stop - line)));
             line = end + 1, count++) {
            *end = 0;
            fn(arg, without_stamp(line));
        }
        if (line == text && n == TAIL_BYTES) /* the middle of a line that is too long to show */
            line = stop;
        t->offset[part] += (uint64_t)(line - text);
    }
}

void logs_build(struct runner *r, uint64_t space_id, bool fresh, const char *fmt, ...)
{
    char line[1200] = ""; /* "STAMP step: text" */
    time_iso(now_ms(), line);
    line[STAMP_LEN - 1] = ' ';
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line + STAMP_LEN, sizeof(line) - STAMP_LEN - 1, fmt, ap);
    va_end(ap);
    char *end = line;
    for (; *end; end++) {
        if ((unsigned char)*end < ' ')
            *end = ' ';
    }
    *end++ = '\n'; /* vsnprintf left room for it */

    struct err err = {0};
    _cleanup_close_ int folder = open_folder(r, space_id, true, &err);
    _cleanup_close_ int fd =
        folder < 0
            ? -1
            : openat(folder, "build.log",
                     O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (fresh ? O_TRUNC : 0),
                     0600);
    int n = fd < 0 ? -errno : write_all(fd, line, (size_t)(end - line));
    if (n < 0)
        log_warn(NULL, "log.build", "Space %" PRIu64 ": cannot write its build log: %s", space_id,
                 err.code ? err.msg : strerror(-n));
}
