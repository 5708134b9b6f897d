/* A commit becomes a tree on disk, under the rules that an archive has (names.h, tree.h). git only
 * names and prints objects; no filter, attribute or conversion of a repository takes part. */
#pragma once

#include "common/err.h"
#include "job/tree.h"

#include <stdint.h>

struct checkout_options {
    const char *repo;  /* its folder, for LFS objects */
    uint64_t max_file; /* bytes of one file that is no LFS object; 0: no limit */
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes); /* may be NULL */
    void *arg;
};

/* Reads the tree of `commit` into `tree`, links included (made by tree_make_links afterwards). */
int checkout(const char *commit, const struct checkout_options *options, struct tree *tree,
             struct err *err);
