/* User namespaces: the range of ids that belongs to the Spaces, and the outer namespace of a
 * rootless run.
 *
 * The range has USERNS_RANGE ids. On disk, id N of the range is the same host uid as root and
 * rootless, if both use the same subuid entry. Index 0 is the "vacant root": root inside of every
 * worker, owner of nothing outside. Index 1 + n is the uid of the Space with uid index n, and 1000
 * inside of its worker. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define USERNS_RANGE 65535u
#define USERNS_RESERVED                                                                            \
    4u /* at the range's end: sandboxes made by hand, the platform's own programs */
#define USERNS_ROOT_DEFAULT_FIRST                                                                  \
    600200000u /* just above what useradd hands out (login.defs SUB_UID_MAX) */

struct userns_range {
    uid_t first; /* as seen by the *calling* process: host uid as root; 1 inside the outer namespace
                  */
    uid_t host_first; /* as seen in the initial namespace */
    uint32_t count;
};

/* True if this process is root in the initial user namespace or already inside an outer namespace
 * that maps a range. */
bool userns_is_ready(void);

/* Finds the range for this process: as root from `conf_first` if not 0, else /etc/subuid of
 * "vitrine" or "root", else USERNS_ROOT_DEFAULT_FIRST; inside an outer namespace from
 * /proc/self/uid_map. */
int userns_range(uid_t conf_first, struct userns_range *ret, struct err *err);

/* The index of the platform's own program number `n` (0 ...) in the range; no Space has it. A range
 * that is too small for that has all of them be the vacant root. */
static inline uint32_t userns_service_index(const struct userns_range *range, unsigned n)
{
    return range->count > 2 * USERNS_RESERVED ? range->count - 2 - n : 0;
}

/* How many Spaces can have a uid of their own. */
static inline uint32_t userns_space_count(const struct userns_range *range)
{
    return range->count > 2 * USERNS_RESERVED ? range->count - 1 - USERNS_RESERVED
                                              : range->count - 1;
}

/* As an ordinary user: makes the outer user namespace and enters it: 0 is the caller, 1.. the
 * user's subuid and subgid ranges, by newuidmap and newgidmap. The caller must be single-threaded.
 * Afterwards geteuid() is 0 in there. -ENOENT without a subuid range, -ENOEXEC without newuidmap,
 * -EPERM where the machine forbids user namespaces; the message says the remedy. Does nothing where
 * userns_is_ready(). */
int userns_enter_outer(struct err *err);
