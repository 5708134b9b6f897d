/* An archive becomes a tree. zip, tar, tar.gz and tar.zst are read, and nothing else: neither the
 * other formats of libarchive nor its way of writing to disk. */
#pragma once

#include "common/err.h"
#include "job/tree.h"

#include <stdbool.h>
#include <stdint.h>

struct unpack_options {
    const char *name; /* what the archive is called in messages */
    /* Called now and then with the bytes of the archive that were read; may be NULL. */
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void *arg;
    /* Takes a file that the archive names and leaves out (kept.h); NULL: such archives are refused.
     */
    int (*kept)(void *arg, const char *oid, const char *path, bool executable, struct err *err);
    void *kept_arg;
};

/* Reads the archive at `fd` (seekable) into `tree`, whose limits hold. Litter (names.h) is left
 * out;
 * `*ret_dropped` counts it. On failure the tree on disk is half made: the caller removes it. */
int unpack_archive(int fd, const struct unpack_options *options, struct tree *tree,
                   uint64_t *ret_dropped, struct err *err);
