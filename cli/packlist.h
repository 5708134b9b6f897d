/* The list of what was packed, from which the tree's name comes: the same hash that the server
 * gives the unpacked tree (job/tree.h, tree_hash), so that an unchanged folder is recognised
 * without sending it. */
#pragma once

#include "common/err.h"

#include <stddef.h>
#include <sys/types.h>

struct packlist {
    char **lines; /* "KIND HASH PATH\n", owned */
    size_t count, cap;
};

void packlist_free(struct packlist *l);
/* `hash` is the SHA-256 of a file's content or a link's target, NULL for a folder. */
int packlist_add(struct packlist *l, mode_t mode, const unsigned char *hash, const char *path,
                 struct err *err);
/* Sorts the list. */
void packlist_sha(struct packlist *l, char out[65]);
