/* The plan of a sandbox's root: what lies where in it. Made by the starter while it may still open
 * everything (sources can lie under folders that are closed to the sandbox's uids); carried out by
 * mounts.c in the sandbox, which sees descriptors only.
 *
 * Every source is a detached copy of a mount (open_tree), private, nosuid and nodev with all of its
 * submounts, and read-only unless said otherwise, before the sandbox ever has it. */
#pragma once

#include "common/err.h"
#include "sandbox/spec.h"

#include <sys/types.h>

#define PLAN_MAX 160
#define PLAN_TEXT_BYTES 8192

enum plan_kind {
    PLAN_DIR,   /* a folder of mode `mode` */
    PLAN_LINK,  /* a symbolic link to `text` */
    PLAN_FILE,  /* a file that holds `text` */
    PLAN_MOUNT, /* a source over a folder or file that is made for it */
};

struct plan_entry {
    enum plan_kind kind;
    char dst[256]; /* absolute, in the sandbox */
    const char *text;
    mode_t mode;
    int fd; /* PLAN_MOUNT: owned by the plan */
    bool is_dir;
    dev_t dev; /* what the source is: compared once it is in place */
    ino_t ino;
};

struct plan {
    struct plan_entry entries[PLAN_MAX];
    int n;
    int app_fd;                 /* the version's tree, or -1 */
    char text[PLAN_TEXT_BYTES]; /* the strings that entries point to */
    size_t text_len;
};

/* All descriptors -1, no entries. */
void plan_init(struct plan *p);
void plan_close(struct plan *p);

/* The whole plan for a spec: system folders, /etc, devices, the version's tree and the mounts that
 * were asked for. The message says which source could not be had. */
int plan_make(struct plan *p, const struct sandbox_spec *s, struct err *err);

/* ---- for the files that fill it (plan_etc.c, devices.c) ---- */
int plan_dir(struct plan *p, mode_t mode, const char *dst, struct err *err);
int plan_link(struct plan *p, const char *target, const char *dst, struct err *err);
int plan_file(struct plan *p, const char *dst, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Takes `path` below `dirfd` as source for `dst`; attributes beside nosuid are MOUNT_ATTR_*. */
int plan_mount(struct plan *p, int dirfd, const char *path, const char *dst, uint64_t attributes,
               struct err *err);

/* /etc (plan_etc.c): what programs expect, made here or taken from the root at `root_fd`. */
int plan_etc(struct plan *p, int root_fd, const char *hostname, struct err *err);
/* /dev (devices.c). */
int plan_devices(struct plan *p, struct err *err);
