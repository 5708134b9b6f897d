/* Those who wait for a Space: what they get, and when. */
#pragma once

#include "route.h"

/* The request's Space is r: forwards it, holds it, or answers it. */
/* Nobody looks at its waiting page any more; whoever does comes again. */
void wake_end_watches(struct route *r);
void wake_dispatch(struct client *c, struct route *r);
/* The client is held until the route changes or its patience ends. */
void wake_hold(struct client *c, struct route *r);
/* One of those who are held for it is not any more; one of its watchers is none any more. The
 * caller takes them off the list. */
void wake_unhold(struct route *r);
void wake_unwatch(struct route *r);
/* Its patience has ended: the waiting page for a navigation, 503 for others. */
void wake_give_up(struct client *c);
/* Sends everybody who is held on its way again. */
void wake_release(struct route *r);
/* Tells the watchers of the waiting page; a stage that needs no waiting ends their streams. */
void wake_tell_stage(struct route *r);
void wake_tell_line(struct route *r, const char *line);
/* Keeps a quiet event stream alive. */
void wake_ping(struct client *c);
