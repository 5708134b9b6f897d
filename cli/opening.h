/* What happens once the programs are started: a child of `up` waits until the site answers through
 * the visitors' door, brings the examples in, and says so. */
#pragma once

#include "common/conf.h"
#include "datadir.h"

#include <stdbool.h>

struct opening {
    const struct conf *conf; /* server_listen has the real port */
    const struct datadir *data;
    bool examples;
    char examples_dir[4096];
};

/* Brings the examples that need nothing, prints `admin: URL` (at the first start) and `ready: URL`
 * on stdout, complaints on stderr, and brings the examples that have to be built. Returns the exit
 * status of its process. `arg` is a struct opening. */
int opening_run(void *arg);
