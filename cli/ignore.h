/* What of a folder is not part of its bundle. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

struct ignore_rule {
    char *pattern;
    bool negated, folders_only, anchored;
};

struct ignore {
    struct ignore_rule *rules; /* owned */
    size_t count;
};

/* Reads `.vitrineignore` of the folder: the lines of gitignore(5), with "*", "?", "[...]", a "**"
 * in front or at the end, "!", and a slash at the end for folders only. None there is fine. -EINVAL
 * names the line. */
int ignore_read(struct ignore *ig, int folder_fd, struct err *err);
void ignore_free(struct ignore *ig);

/* Whether `path` (below the folder, without a slash at its end) is left out. Always are: .git,
 * .cache/huggingface and __pycache__, wherever they lie. */
bool ignore_has(const struct ignore *ig, const char *path, bool is_folder);
