/* For the files that hold tables of site.db (site.c, owners.c, tokens.c, ...) and for nobody else:
 * the connection and its lock. */
#pragma once

#include "common/store.h"
#include "webui/site.h"

#include <pthread.h>

struct site {
    pthread_mutex_t lock;
    struct store *db;
};

static inline void site_unlock(struct site **s)
{
    pthread_mutex_unlock(&(*s)->lock);
}
/* Held to the end of the block. */
#define WITH_LOCK(s)                                                                               \
    __attribute__((cleanup(site_unlock))) struct site *locked = (s);                               \
    pthread_mutex_lock(&locked->lock)
