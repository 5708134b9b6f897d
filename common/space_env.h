/* What an owner may put into the environment of a Space's workers: secrets and variables, by the
 * same rules wherever they are set and where a worker is started. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define SPACE_ENV_NAME 128  /* bytes of a name, its NUL included */
#define SPACE_ENV_COUNT 256 /* of a Space */
#define SPACE_ENV_BYTES                                                                            \
    (52 * 1024) /* of all NAME=VALUE, each with its NUL: what a worker's start has                 \
                   room for beside the platform's own (proto.h) */
#define SPACE_ENV_DESCRIPTION 1024 /* bytes, the NUL included */
#define SPACE_ENV_BLANKED 4        /* shorter values of secrets are not blanked in logs */

/* [A-Za-z_][A-Za-z0-9_]*, and none of those that the platform sets and means by (PORT, SPACE_ID).
 * -EINVAL says which and why. */
int space_env_check_name(const char *name, struct err *err);
/* The platform sets it, and no owner can. */
bool space_env_is_ours(const char *name);
/* A build sees it, too: not those that steer its installers (whose indexes and caches are the
 * operator's), its way out, or what is loaded into every program. */
bool space_env_is_for_builds(const char *name);
/* What one takes of SPACE_ENV_BYTES. */
size_t space_env_bytes(const char *name, size_t value_len);
