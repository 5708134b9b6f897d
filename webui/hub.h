/* Who waits for news of which Space. A subscriber has an eventfd that becomes readable when the
 * Space's stage, worker or reason may have changed; what it is now, it reads from life.db. */
#pragma once

#include "common/err.h"

#include <stdint.h>

struct hub;
struct hub_sub; /* one subscriber; used by one thread */

int hub_new(struct hub **ret, struct err *err);
void hub_free(struct hub *h); /* after the last subscriber left */

/* space_id 0: of every Space. */
int hub_subscribe(struct hub *h, int64_t space_id, struct hub_sub **ret, struct err *err);
void hub_unsubscribe(struct hub_sub *s); /* NULL is fine */
int hub_fd(const struct hub_sub *s);     /* to poll for POLLIN */
void hub_seen(struct hub_sub *s);        /* makes the fd unreadable until the next news */

/* space_id 0: everybody must look. */
void hub_publish(struct hub *h, int64_t space_id);
