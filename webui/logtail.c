#include "webui/logtail.h"

#include "common/cleanup.h"

#include <string.h>
#include <sys/stat.h>

#define BLOCK_BYTES 16384

void logtail_open(struct logtail *t, struct link_log *log)
{
    *t = (struct logtail){.fds = {steal_fd(&log->fds[0]), steal_fd(&log->fds[1])},
                          .count = (int)log->count,
                          .current = (int)log->current,
                          .old_first = log->count == 2};
}

void logtail_close(struct logtail *t)
{
    close_fd(&t->fds[0]);
    close_fd(&t->fds[1]);
    t->count = 0;
}

static bool same_file(int a, int b)
{
    struct stat x, y;
    return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

bool logtail_is_of(const struct logtail *t, const struct link_log *log)
{
    if (t->count != (int)log->count)
        return false;
    for (int i = 0; i < t->count; i++) /* in either order: it changes with the part that grows */
        if (!same_file(t->fds[0], log->fds[i]) && !same_file(t->fds[1], log->fds[i]))
            return false;
    return true;
}

static int64_t size_of(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 ? st.st_size : 0;
}

static int64_t changed_ns(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec : 0;
}

/* How many of the last `*lines` lines begin in this part: the offset of the first of them. */
static int64_t seek_back(int fd, long *lines)
{
    char block[BLOCK_BYTES];
    int64_t end = size_of(fd), pos = end;
    while (pos > 0) {
        int64_t from = pos > BLOCK_BYTES ? pos - BLOCK_BYTES : 0;
        ssize_t n = pread(fd, block, (size_t)(pos - from), from);
        if (n <= 0)
            return pos;
        for (ssize_t i = n; i-- > 0;) {
            /* The newline that ends the log begins no line. */
            if (block[i] != '\n' || from + i + 1 == end)
                continue;
            if (--*lines <= 0)
                return from + i + 1;
        }
        pos = from;
    }
    --*lines;
    return 0;
}

void logtail_seek(struct logtail *t, long lines)
{
    if (t->count == 0)
        return;
    int64_t at = seek_back(t->fds[t->current], &lines);
    if (t->count == 2 && lines > 0) {
        t->offset = seek_back(t->fds[!t->current], &lines);
        return;
    }
    t->old_first = false;
    t->offset = at;
    if (t->count == 2)
        t->other_changed_ns = changed_ns(t->fds[!t->current]);
}

/* The next part, where the one that was read is at its end: the growing one after the full one, or
 * the one that was full and has been cut to grow again. */
static bool next_part(struct logtail *t)
{
    if (t->count != 2)
        return false;
    if (t->old_first) {
        t->old_first = false;
        t->other_changed_ns = changed_ns(t->fds[!t->current]);
        t->offset = 0;
        return true;
    }
    if (changed_ns(t->fds[!t->current]) == t->other_changed_ns)
        return false;
    t->current = !t->current;
    t->other_changed_ns = changed_ns(t->fds[!t->current]);
    t->offset = 0;
    return true;
}

bool logtail_read(struct logtail *t, bool all, size_t max, struct buf *out)
{
    size_t before = out->len;
    char block[BLOCK_BYTES];
    while (t->count > 0 && out->len - before < max) {
        int fd = t->fds[t->old_first ? !t->current : t->current];
        ssize_t n = pread(fd, block, sizeof block, t->offset);
        if (n > 0) {
            /* Whole lines, unless a line is longer than the block or nothing will come after it. */
            char *last = memrchr(block, '\n', (size_t)n);
            size_t take = last                                       ? (size_t)(last - block) + 1
                          : all || t->old_first || n == sizeof block ? (size_t)n
                                                                     : 0;
            if (take == 0 || buf_append(out, block, take) < 0)
                break;
            t->offset += (int64_t)take;
        } else if (t->count == 1 && size_of(fd) < t->offset) {
            t->offset = 0; /* it was cut: the log of the next build */
        } else if (!next_part(t)) {
            break;
        }
    }
    return out->len > before;
}
