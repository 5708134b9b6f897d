/* A folder becomes a tar.zst, in a file without a name. */
#pragma once

#include "common/err.h"

#include <stdint.h>

struct pack {
    int fd; /* the archive, from its beginning; owned by the caller */
    uint64_t archive_bytes;
    uint64_t files, bytes; /* what is in it */
    char sha[65];          /* as the server will call the unpacked tree */
};

/* Packs files, folders and symbolic links below `folder` (without .git), in the order of their
 * names. `progress` may be NULL; it gets what was packed so far. Other kinds of files are refused
 * by name. */
int pack_folder(struct pack *p, const char *folder,
                void (*progress)(void *arg, uint64_t files, uint64_t bytes), void *arg,
                struct err *err);
