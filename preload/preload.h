/* The parts of vitrine-preload; main.c says what it does. */
#pragma once

#include "preload/hub.h"

#include <stdbool.h>
#include <stdint.h>

#define PRELOAD_TREE "/run/vitrine/preload" /* the cache that is made */
#define PRELOAD_PARTS "/run/vitrine/parts"  /* what is being fetched, kept from build to build */
#define PRELOAD_STORE "/run/vitrine/store"  /* by SHA-256, what the platform has; read-only */

/* One file that is asked for. */
struct file {
    char *path; /* owned */
    const char *repo;
    struct hub_meta meta;
};

/* A line of the build's log. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* fetch.c */
struct progress {
    uint64_t done, total, said_ms;
    unsigned said_percent;
};
/* The whole of the file is in PRELOAD_PARTS/`part` then, with the SHA-256 `sha`; it is what the hub
 * says where that can be known. What was fetched before is taken up where it ended. */
int fetch_file(struct hub *h, const struct file *f, const char *part, struct progress *p,
               char sha[65], struct err *err);

/* tree.c */
/* "models--OWNER--NAME" */
int tree_folder(const char *repo, char *out, size_t size, struct err *err);
int tree_add_ref(const char *folder, const char *revision, const char *commit, struct err *err);
/* The file's link in the snapshot of its commit, to the blob that will be there. */
int tree_add_file(const char *folder, const struct file *f, struct err *err);
