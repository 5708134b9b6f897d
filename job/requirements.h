/* The requirement files of a bundle (requirements.txt, pre-requirements.txt and what they include),
 * looked at without installing anything: whether there are any, a digest of all that an installer
 * would read, and what makes their meaning depend on more than their words. The format is pip's
 * (pip.pypa.io, "Requirements File Format"); what cannot be judged here is left to the installer.
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>

enum {
    REQUIREMENTS_FILE_MAX = 1 << 20,
    REQUIREMENTS_ALL_MAX = 4 << 20,
    REQUIREMENTS_FILES_MAX = 64, /* included ones count */
};

struct requirements {
    bool pre, main;     /* which of the two files are there */
    bool bound;         /* they name files of the bundle itself: what they mean changes with it */
    bool pins_sdk;      /* a line says which version of the SDK's package is wanted */
    struct buf text;    /* everything that was read, for the digest */
    struct buf options; /* lines of options that an install by lock needs, too (indexes) */
    unsigned files;
};
#define REQUIREMENTS_INIT                                                                          \
    ((struct requirements){.text = BUF_INIT(REQUIREMENTS_ALL_MAX), .options = BUF_INIT(65536)})
void requirements_free(struct requirements *q);

/* Reads both files of the folder `dir_fd` as far as they are there. `sdk` is the name of its
 * package ("gradio"), or "". -EFBIG, -ENOMEM. */
int requirements_read(int dir_fd, const char *sdk, struct requirements *ret, struct err *err);

/* One file's text, NUL-terminated (it is changed). `include` is called for each file that it
 * includes, with the path as written; it may be NULL. For requirements_read and the fuzz target. */
void requirements_scan(char *text, const char *sdk, struct requirements *q,
                       void (*include)(void *arg, const char *path), void *arg);
