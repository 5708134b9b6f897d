/* Programs that the runner starts outside of sandboxes: its starter, the proxies of builds. */
#pragma once

#include "common/err.h"

#include <spawn.h>

/* Starts `path`, with signals as they are born; `files` is used up. Its pidfd, or a negative errno.
 */
int spawn_program(const char *path, posix_spawn_file_actions_t *files, char *const argv[],
                  char *const env[], struct err *err);
