#include "buf.h"

#include "utf8.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

void buf_free(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

int buf_reserve(struct buf *b, size_t extra)
{
    if (extra > b->max || b->len > b->max - extra)
        return -ENOBUFS;
    size_t need = b->len + extra + 1; /* the NUL */
    if (need <= b->cap)
        return 0;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    /* Doubling must not take much more than the ceiling allows to be used. */
    if (cap > b->max && need <= b->max + 1)
        cap = b->max + 1;
    char *p = realloc(b->data, cap);
    if (!p)
        return -ENOMEM;
    b->data = p;
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    int r = buf_reserve(b, len);
    if (r < 0)
        return r;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_puts(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    int r = n < 0 ? -EINVAL : buf_reserve(b, (size_t)n);
    if (r == 0) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return r;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return r;
}

/* Puts the length back where an append in the middle failed: nothing or everything is added. */
static int undo(struct buf *b, size_t len, int r)
{
    if (r < 0 && b->data) {
        b->len = len;
        b->data[len] = '\0';
    }
    return r;
}

int buf_html(struct buf *b, const char *s)
{
    size_t before = b->len;
    int r = 0;
    while (*s && r == 0) {
        size_t plain = strcspn(s, "&<>\"'");
        r = buf_append(b, s, plain);
        s += plain;
        if (r < 0 || !*s)
            break;
        switch (*s++) {
        case '&':
            r = buf_puts(b, "&amp;");
            break;
        case '<':
            r = buf_puts(b, "&lt;");
            break;
        case '>':
            r = buf_puts(b, "&gt;");
            break;
        case '"':
            r = buf_puts(b, "&quot;");
            break;
        default:
            r = buf_puts(b, "&#39;");
        }
    }
    return undo(b, before, r);
}

int buf_json(struct buf *b, const char *s)
{
    size_t before = b->len;
    int r = buf_puts(b, "\"");
    while (*s && r == 0) {
        unsigned char c = (unsigned char)*s;
        size_t n;
        if (c == '"' || c == '\\') {
            r = buf_printf(b, "\\%c", c);
            s++;
        } else if (c == '\n') {
            r = buf_puts(b, "\\n");
            s++;
        } else if (c < 0x20 || c == 0x7f) {
            r = buf_printf(b, "\\u%04x", c);
            s++;
        } else if ((n = utf8_len(s)) > 0) {
            r = buf_append(b, s, n);
            s += n;
        } else {
            r = buf_puts(b, "\xef\xbf\xbd");
            s++;
        }
    }
    if (r == 0)
        r = buf_puts(b, "\"");
    return undo(b, before, r);
}

void buf_consume(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len);
    b->data[b->len] = '\0';
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

int buf_read_fd(struct buf *b, int fd)
{
    for (;;) {
        size_t room = b->max - b->len;
        size_t want = room < 65536 ? room : 65536;
        if (want == 0) {
            /* At the ceiling: only the end of the file may follow. */
            char c;
            ssize_t n = read(fd, &c, 1);
            if (n < 0 && errno == EINTR)
                continue;
            return n < 0 ? -errno : n > 0 ? -EFBIG : 0;
        }
        int r = buf_reserve(b, want);
        if (r < 0)
            return r;
        ssize_t n = read(fd, b->data + b->len, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        b->len += (size_t)n;
        b->data[b->len] = '\0';
        if (n == 0)
            return 0;
    }
}
