/* A look at a zip's directory before libarchive reads it whole into memory: how many entries it
 * really has. */
#pragma once

#include "common/err.h"

#include <stdint.h>

/* `fd` is a file of `size` bytes that begins as a zip does. -E2BIG where more than `max_entries`
 * entries stand in its directory (they are counted, not believed), -EINVAL where there is none,
 * because the file was cut off, or where an entry is encrypted. */
int zipdir_check(int fd, uint64_t size, uint64_t max_entries, struct err *err);
