/* The root that sandboxes share: a small tmpfs with the system's folders (read-only), /etc, the
 * devices, and places for what each sandbox has of its own. Made once for each root that is asked
 * for; a sandbox gets a read-only copy of its mounts, which is one system call, and looks at it
 * through overlays of its own (mounts_root.c).
 *
 * They are attached in the starter's own mount namespace (a mount that is attached nowhere could
 * not be copied before Linux 6.15), over a folder that nobody wants to see in a sandbox. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <sys/stat.h>

#define ROOT_CACHE_MAX 4
#define ROOT_WATCHED 2
#define ROOT_OWN_DIR                                                                               \
    "/run/sandbox"                  /* hosts and hostname of each sandbox: /etc has links to them  \
                                     */
#define ROOT_EMPTY_DIR "/run/empty" /* a file system of its own */
#define ROOT_NULL "/run/null"       /* a read-only /dev/null, to mask files with */

struct shared_root {
    char name[1024]; /* "host" or a path; "" for a free entry */
    int fd;          /* the tmpfs' mount, writable */
    unsigned serial; /* another one each time that it is made */
    bool is_filled;
    struct timespec changed[ROOT_WATCHED]; /* a change in the source means: make it anew */
};

struct root_cache {
    int holder_fd; /* a tmpfs, in whose folders "0", "1", ... they are attached; -1: none yet */
    struct shared_root roots[ROOT_CACHE_MAX];
    int next; /* the entry that is given up next */
    unsigned made;
};

void root_cache_init(struct root_cache *c);
void root_cache_close(struct root_cache *c);

/* Makes the root of that name, unless it is there and its source has not changed. *ret_serial tells
 * apart what was made at different times. The files of its /etc are not there before root_fill. */
int root_open(struct root_cache *c, const char *name, unsigned *ret_serial, struct err *err);
/* Copies the files of /etc into the root that root_open made, if that was not done yet. They also
 * appear in copies of it that were taken before; nobody may have looked for them there. */
int root_fill(struct root_cache *c, const char *name, struct err *err);
/* Makes a folder or an empty file as place for a mount, in the root that root_open made. */
int root_make_place(struct root_cache *c, const char *name, const char *path, bool is_dir,
                    struct err *err);
/* A detached, read-only mount of its /etc, without what is mounted in that. */
int root_open_etc(struct root_cache *c, const char *name, struct err *err);
/* A detached, read-only copy of it with everything mounted in it. */
int root_copy(struct root_cache *c, const char *name, struct err *err);

/* ---- for the files that fill it (root_etc.c, devices.c); root_fd is the tmpfs' mount */
int root_dir(int root_fd, const char *path, struct err *err);
int root_link(int root_fd, const char *target, const char *path, struct err *err);
int root_file(int root_fd, const char *path, const char *text, struct err *err);
/* Mounts `source` (a detached mount, which is used up) at `path`. */
int root_mount(int root_fd, int source, const char *path, struct err *err);
/* Folders below /etc that are mounts in the shared root; they need not be there. */
#define ROOT_ETC_FOLDERS 4
extern const char *const root_etc_folders[ROOT_ETC_FOLDERS];
/* /etc: what programs expect, made here or shown from the root at `source_fd`. */
int root_etc(int root_fd, int source_fd, struct err *err);
/* ... and what is copied from there. */
int root_etc_files(int root_fd, int source_fd, struct err *err);
/* Copies what is at `path` below the folder etc_fd into the folder `to`, as far as everybody may
 * read it; what is not there is left out. */
int root_take(int etc_fd, const char *path, int to, struct err *err);
/* /dev. */
int root_devices(int root_fd, struct err *err);
/* Moves the devices from the copy of a root to the overlay that shows it. */
int root_move_devices(int copy_fd, int root_fd, struct err *err);
struct plan;
/* A /dev of the sandbox's own, with a place for each device of the plan beside what is there. (In
 * the one that all share, whose entries all see, no place is made for them.) */
int root_own_dev(int root_fd, const struct plan *p, struct err *err);
/* A /sys for what the plan shows of that; nothing where it shows nothing (sysfs.c). */
int root_own_sys(int root_fd, const struct plan *p, struct err *err);
