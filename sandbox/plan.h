/* Sources of mounts: what lies outside and is to be seen inside. Opened by the starter while it may
 * still open everything (sources can lie under folders that are closed to the sandbox's uids); the
 * sandbox gets descriptors.
 *
 * Every source is a detached copy of a mount (open_tree), private, nosuid and nodev with all of its
 * submounts, and read-only unless said otherwise, before the sandbox ever has it. */
#pragma once

#include "common/err.h"
#include "sandbox/spec.h"

#include <stdint.h>
#include <sys/types.h>

struct plan_mount {
    char dst[256]; /* absolute, in the sandbox */
    int fd;        /* owned by the plan */
    int base_fd;   /* what it is laid over, or -1; owned by the plan */
    bool is_dir, writable, copied, device;
    bool sysfs; /* a folder of /sys, for a device */
    dev_t dev;  /* what the source is: compared once it is in place */
    ino_t ino;
};

/* In /sys, absolute both. */
struct plan_link {
    char path[128], target[256];
};
#define PLAN_MAX_LINKS 80

struct plan {
    int app_fd; /* the version's tree, or -1 */
    struct plan_mount mounts[SPEC_MAX_MOUNTS];
    int n;
    struct plan_link links[PLAN_MAX_LINKS];
    int n_links;
};

/* All descriptors -1, no mounts. */
void plan_init(struct plan *p);
void plan_close(struct plan *p);

struct root_cache;

/* Everything that a spec asks for, but its root, which must be open. The message says which source
 * could not be had. */
int plan_make(struct plan *p, struct root_cache *roots, const struct sandbox_spec *s,
              struct err *err);

/* What /sys tells of that device, if it does (sysfs.c). */
int plan_sysfs(struct plan *p, dev_t device, struct err *err);

/* A detached, private copy of the mount at `path`, with what is mounted below it. `attributes` are
 * MOUNT_ATTR_* beside nosuid. The descriptor. */
int plan_open_source(int dirfd, const char *path, uint64_t attributes, struct err *err);
