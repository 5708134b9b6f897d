/* A filter made small. The kernel checks, translates and assembles a filter each time that it is
 * loaded, so a start pays for every instruction of it. */
#pragma once

#include "common/err.h"

#include <linux/filter.h>
#include <stddef.h>

/* Replaces the program `code` of n instructions (as libseccomp makes them) by one that has the same
 * verdict about every call: its length. -ENOTSUP where there is an instruction that this does not
 * know, -E2BIG where the result has more than `max`. */
int filter_compact(struct sock_filter *code, size_t n, size_t max, struct err *err);
