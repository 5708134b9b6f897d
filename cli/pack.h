/* A folder becomes a tar.zst, in a file without a name. */
#pragma once

#include "common/err.h"
#include "folder.h"

#include <stdint.h>

struct pack {
    int fd; /* the archive, from its beginning; owned by the caller */
    uint64_t archive_bytes;
    uint64_t files, bytes; /* what is in it */
    char sha[65];          /* as the server will call the unpacked tree */
};

/* Packs what was listed; of a file that the server has (entry.kept), its name alone. `progress` may
 * be NULL; it gets the bytes packed so far, and all of them. -EAGAIN names a file that is not as it
 * was when it was listed, or changed while it was read. */
int pack_folder(struct pack *p, const struct folder *folder,
                void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg,
                struct err *err);

/* The same with the content of README.md alone: every other file is there and empty. For who only
 * asks what a folder is. Without a sum. */
int pack_outline(struct pack *p, const struct folder *folder, struct err *err);
