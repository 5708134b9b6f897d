/* The user namespace of one sandbox, seen from the starter. */
#pragma once

#include "common/err.h"
#include "common/userns.h"

#include <sys/types.h>

/* Maps in the new namespace of `pid`: 0 to the vacant root (index 0 of the range), 1000 to the
 * Space's index (1 + uid_index); nothing else exists there. The starter has CAP_SETUID over the
 * range, so setgroups stays allowed and really empties the groups. */
int userns_write_maps(pid_t pid, const struct userns_range *range, uint32_t uid_index,
                      struct err *err);
