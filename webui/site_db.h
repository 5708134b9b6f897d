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
/* With the lock held, within a transaction: a row of `commands`; what a version's card asks of the
 * platform, in columns of its own (site_card.c). */
int site_add_command(struct site *s, int64_t space_id, const char *verb, int64_t version_id,
                     int64_t *ret_id, struct err *err);
int site_card_apply(struct site *s, int64_t version_id, const json_t *card, struct err *err);
/* Held to the end of the block. */
#define WITH_LOCK(s)                                                                               \
    __attribute__((cleanup(site_unlock))) struct site *locked = (s);                               \
    pthread_mutex_lock(&locked->lock)
