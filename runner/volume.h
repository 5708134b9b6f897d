/* /data of the Spaces: what each takes, and the quota of it.
 *
 * Where the file system of DATA/volumes enforces project quotas and we are the machine's root, the
 * kernel holds every Space to its limit (quota.h); here it is set, and what is used is read. Else
 * the limit is soft: while a Space's workers run its folder is measured, by a process of its own,
 * whenever the file system has lost as much room as the Space had left, and from time to time; who
 * is over is stopped, and finds /data read-only until it is below the limit again. */
#pragma once

#include "common/err.h"
#include "common/space_limits.h"
#include "common/usage.h"

#include <stdbool.h>
#include <stdint.h>

struct runner;
struct space;
struct worker;
struct volumes; /* one of a runner */

/* A Space's, in struct space. */
struct volume {
    bool known; /* `used` was measured, perhaps by an earlier runner */
    struct usage used;
    uint64_t at_ms;                 /* CLOCK_MONOTONIC of that; 0: by an earlier runner */
    uint64_t cost_ms;               /* how long it took */
    uint64_t fs_bytes, fs_inodes;   /* used in the whole file system then, or less later */
    uint64_t set_bytes, set_inodes; /* the quota, once it is set */
    uint32_t given_to;              /* the project that everything in it belongs to */
};

int volumes_open(struct runner *r, struct err *err);
/* Nothing is measured any more. */
void volumes_stop(struct runner *r);
void volumes_close(struct runner *r);
/* "project" or "soft" */
const char *volumes_kind(const struct runner *r);

/* Before a worker of the Space starts: sets the quota, or says that /data must be read-only
 * (w->data_read_only). -EAGAIN: it was full when it was measured last, and is measured again. */
int volume_prepare(struct space *s, struct worker *w, struct err *err);
/* A worker runs, or was taken over from an earlier runner: its /data is looked at until it ended.
 */
void volume_watch(struct space *s, struct worker *w);
void volume_adopt(struct space *s, struct worker *w);
/* One has ended: what it left is measured once more. */
void volume_ended(struct space *s);
/* The Space's folder is gone. */
void volume_removed(struct space *s);
/* It is being measured, or to be: it stays in memory. */
bool volume_is_busy(const struct space *s);
