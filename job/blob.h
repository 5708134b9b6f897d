/* What `git cat-file --batch` prints of a blob, after its head: the content and a newline. */
#pragma once

#include "common/err.h"
#include "job/tree.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

int blob_cut_short(struct err *err);
/* Into memory, with a NUL behind it: `out` has size + 1 bytes. */
int blob_to_memory(FILE *in, char *out, size_t size, struct err *err);
/* Into a new file of the tree. */
int blob_to_file(FILE *in, uint64_t size, struct tree *tree, const char *path, bool executable,
                 struct err *err);
