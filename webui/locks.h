/* One submission (or deletion) at a time for each Space, by its name. */
#pragma once

#include "common/err.h"

struct locks;
struct locks_held; /* on the list while somebody holds the name */

int locks_new(struct locks **ret, struct err *err);
void locks_free(struct locks *l);

/* Waits until nobody has `name` (letters' case does not matter), at most timeout_ms: 0 or
 * -EBUSY. */
int locks_take(struct locks *l, const char *name, unsigned timeout_ms, struct locks_held **ret,
               struct err *err);
void locks_release(struct locks_held *h); /* NULL is fine */
static inline void locks_cleanup(struct locks_held **h)
{
    locks_release(*h);
}
#define _cleanup_locks_ __attribute__((cleanup(locks_cleanup)))
