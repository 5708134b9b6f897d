/* How much a tenant's folder holds, and who pays for it: walks from outside that follow no link and
 * stay on the device. For processes of their own: a large tree takes long. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stdint.h>

#define USAGE_MAX_DEPTH 1000 /* one folder in the other: each takes a descriptor meanwhile */

struct usage {
    uint64_t bytes, inodes; /* what it takes on the disk; a file with several names counts once */
    bool at_least; /* there is more: nested deeper than USAGE_MAX_DEPTH, or it was stopped */
};

/* The folder `path` with everything in it. Stops once there are more than `stop_inodes` (0: never).
 * What vanishes meanwhile is left out; deleted files that are held open are not seen. */
int usage_of_tree(const char *path, uint64_t stop_inodes, struct usage *ret, struct err *err);

/* The same where other names of its files lie elsewhere: each name counts as a whole file. */
int usage_of_names(const char *path, struct usage *ret, struct err *err);

/* Gives the folder, and everything in it that can be opened, to a project (quota.h). Tenants may
 * change it meanwhile: what is made below a folder that was given already belongs to its project
 * from birth, and the kernel lets nothing of another project be moved there. */
int usage_give_tree(const char *path, uint32_t project, struct err *err);
