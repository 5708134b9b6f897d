/* What a service still sees of the host once it has confined itself: the files and folders of its
 * plan (service.h), as mounts of their own, so that no ".." leads out of one. */
#pragma once

#include "common/err.h"
#include "sandbox/service.h"

#include <sys/types.h>

struct service_places {
    int files[SERVICE_PLACES],
        folders[SERVICE_PLACES]; /* mounts that are attached nowhere; or -1 */
};

#define SERVICE_PLACES_INIT                                                                        \
    {                                                                                              \
        .files = {-1, -1, -1, -1}, .folders = { -1, -1, -1, -1 }                                   \
    }

/* Makes what is missing and takes the mounts; needs a mount namespace that is its own. What is
 * there is given to group `gid` (-1: it is the caller's already). */
int service_places_take(struct service_places *p, const struct service_plan *plan, gid_t gid,
                        struct err *err);
/* Attaches them below the folder `root`, each where its path says. */
int service_places_attach(struct service_places *p, const struct service_plan *plan, int root,
                          struct err *err);
void service_places_close(struct service_places *p);
