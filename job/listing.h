/* What is in a commit, as Hugging Face's API tells of it:
 *   {"type":"directory","oid","size":0,"path"}
 *   {"type":"file","oid","size","path"[,"lfs":{"oid","size","pointerSize"}]} */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The entries of the folder `path` ("" the top) of `commit`, `limit` of them after the first
 * `offset`. *ret_more: there are others after those. -ENOENT where there is no such folder. */
int listing_tree(const char *commit, const char *path, bool recursive, uint64_t offset,
                 uint64_t limit, json_t **ret, bool *ret_more, struct err *err);

/* Those of `paths` (an array of strings) that are there. */
int listing_paths(const char *commit, const json_t *paths, json_t **ret, struct err *err);
