#include "lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void lines_free(struct lines *l)
{
    buf_free(&l->begun);
}

int lines_add(struct lines *l, const char *data, size_t len, lines_fn take, void *arg)
{
    while (len) {
        const char *nl = memchr(data, '\n', len);
        size_t n = nl ? (size_t)(nl - data) : len, room = l->begun.max - l->begun.len;
        if (n > room && !l->cut)
            return -EMSGSIZE;
        int r = buf_append(&l->begun, data, n < room ? n : room);
        if (r < 0)
            return r;
        if (!nl)
            return 0;
        if (!take(arg, l->begun.data, l->begun.len))
            return -ECANCELED;
        buf_clear(&l->begun);
        data += n + 1;
        len -= n + 1;
    }
    return 0;
}

int lines_read(struct lines *l, int fd, unsigned pieces, lines_fn take, void *arg)
{
    char piece[16384];
    while (pieces--) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 1;
        if (n <= 0)
            return 0;
        l->bytes += (size_t)n;
        if (l->bytes_max && l->bytes > l->bytes_max)
            return -EFBIG;
        int r = lines_add(l, piece, (size_t)n, take, arg);
        if (r < 0)
            return r;
    }
    return 1;
}
