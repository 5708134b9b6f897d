/* The end of a gateway that was replaced: `up` has a new one that accepts from now on, and this one
 * finishes what it has. Requests, streams, upgraded connections and those who are held for a worker
 * go on; each answer says `Connection: close`, and a connection that has nothing under way is half
 * closed after a moment of silence (RFC 9112 9.6): a request that was being sent just then is still
 * answered. It ends when nobody is left, or at the deadline, which cuts the rest off. */
#pragma once

#include "client.h"

/* SUP_DRAIN. */
void drain_begin(struct loop *l, uint64_t timeout_ms);
/* The connection must end with the answer that is being made: no other request is there already. */
bool drain_closes(const struct client *c);
/* A connection without a request: how long it may stay silent. */
uint64_t drain_patience_ms(const struct client *c);
/* It was silent for that long. */
void drain_silent(struct client *c);
