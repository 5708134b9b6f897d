/* Lines that a program prints, taken as they come, whole ones alone: what follows the last line's
 * end is no line. No more is kept than the longest line may have. */
#pragma once

#include "common/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines {
    struct buf begun; /* of a line, whose end has not come yet */
    uint64_t bytes;   /* read, in all */
    uint64_t bytes_max;
    bool cut;
};

/* Lines of up to `line_max` bytes. A longer one is an error, or with `cut` loses what is too much.
 * From a descriptor, `bytes_max` are read in all; 0: without an end. */
#define LINES_INIT(line_max, cut_, bytes_max_)                                                     \
    ((struct lines){.begun = BUF_INIT(line_max), .bytes_max = (bytes_max_), .cut = (cut_)})
void lines_free(struct lines *l);

/* One line, without its '\n', and a NUL behind it, which may well not be the first one in it. It is
 * the callee's to write to, until it returns or calls lines_free. False: no more, please; the lines
 * may be gone by then. */
typedef bool (*lines_fn)(void *arg, char *line, size_t len);

/* These bytes are what comes next: 0, -EMSGSIZE (a line is too long), -ENOMEM, or -ECANCELED where
 * `take` wants no more. After an error it is not to be gone on with. */
int lines_add(struct lines *l, const char *data, size_t len, lines_fn take, void *arg);

/* Reads `pieces` times at most from `fd`, which does not block: 1 where there may be more, now or
 * later, 0 at its end (or where it broke), an error of lines_add, or -EFBIG past `bytes_max`. */
int lines_read(struct lines *l, int fd, unsigned pieces, lines_fn take, void *arg);
