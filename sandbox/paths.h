/* Looking up and making places below a folder that is to become a root. */
#pragma once

#include "common/err.h"

#include <stdbool.h>

/* Opens `path` (absolute, as seen with `root_fd` as "/") as O_PATH, links not followed. The
 * descriptor or -1 with errno. */
int path_open(int root_fd, const char *path);
/* Makes the missing folders above `path`, and `path` itself as a folder or an empty file. */
int path_make(int root_fd, const char *path, bool is_dir, struct err *err);
/* Attaches a detached mount at `path`. */
int path_attach(int mount_fd, int root_fd, const char *path, struct err *err);
