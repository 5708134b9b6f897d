/* A growing byte buffer with a ceiling that is given at its birth. */
#pragma once

#include "cleanup.h"

#include <stdarg.h>
#include <stddef.h>

struct buf {
    char
        *data; /* owned; always NUL-terminated one past len once anything was appended, else NULL */
    size_t len;
    size_t cap;
    size_t max; /* len never exceeds this */
};

#define BUF_INIT(max_bytes) ((struct buf){.max = (max_bytes)})

void buf_free(struct buf *b);
#define _cleanup_buf_ _cleanup_(buf_free)

/* All return 0, -ENOBUFS where the ceiling would be passed (nothing is appended then), or -ENOMEM.
 */
int buf_reserve(struct buf *b, size_t extra); /* room for `extra` more bytes */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_puts(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/* Appends `s` with & < > " ' as HTML entities. */
int buf_html(struct buf *b, const char *s);
/* Appends `s` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
int buf_json(struct buf *b, const char *s);

/* Drops the first `n` bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
void buf_clear(struct buf *b);

/* Reads the whole of `fd` until its end: 0, -EFBIG past the ceiling, or read's negative errno. */
int buf_read_fd(struct buf *b, int fd);
