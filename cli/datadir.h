/* The data folder as `up` makes it: its parts, the lock that keeps a second `up` out, the token of
 * the command line. */
#pragma once

#include "common/err.h"

#include <stdbool.h>

struct datadir {
    char path[4096]; /* absolute */
    int run_fd;      /* DATA/run, O_PATH: sockets are reached through it, however long `path` is */
    int lock_fd;     /* held until the process ends */
    bool after_a_crash; /* the `up` before this one did not end in order: its children may still be
                           on their way out */
    char token[65];
    bool first_start; /* the token was made just now */
};
#define DATADIR_INIT ((struct datadir){.run_fd = -1, .lock_fd = -1})

/* Makes what is missing (0700) and takes the lock, waiting a few seconds for an `up` that is dying.
 * -EBUSY where another one runs on it: the message has its process id. `path` may be relative. */
int datadir_open(struct datadir *d, const char *path, struct err *err);
/* Lets go of the lock as one who ended in order. */
void datadir_close(struct datadir *d);
