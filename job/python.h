/* Which interpreter of the sandbox's root a Space gets. */
#pragma once

#include "common/err.h"

#include <stddef.h>

struct python {
    char path[256];    /* /usr/bin/python3.11 */
    char id[65];       /* changes when another build of it is installed */
    char warning[256]; /* the one that was asked for is not there; "" else */
};

/* `fallback` is what is used where `version` ("3.10", "3.10.4", "3", or "") says nothing; the
 * nearest one that is installed else. -ENOENT where there is none at all. */
int python_choose(const char *version, const char *fallback, struct python *ret, struct err *err);
