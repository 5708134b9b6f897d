/* Counters of each Space (common/tally.h), told to the runner once a second where something
 * changed, as what came since it was told last: so they go on over a restart of the gateway.
 * Nothing here is shared: each loop has its own and tells of it by itself.
 *
 * A Space's counters are there while its route is, a request is under way, or something is unsaid.
 */
#pragma once

#include "client.h"
#include "common/tally.h"

struct tally {
    struct link dirty; /* tallies->dirty */
    struct tally *next_hash;
    uint64_t space_id; /* 0: the site, or nobody */
    char space[200];
    uint32_t refs; /* routes and requests */
    uint32_t in_flight, websockets, streams;
    struct tally_counts counts; /* since the runner was told */
};

struct tallies;

int tallies_new(struct loop *l, struct err *err);
void tallies_free(struct loop *l);
/* Tells what is unsaid, as far as it goes at once. */
void tallies_flush(struct loop *l);
/* A new runner: it is told who is in flight. */
void tallies_tell_again(struct loop *l);

/* The Space's; a reference of the caller's. NULL without memory. */
struct tally *tally_of(struct loop *l, uint64_t space_id, const char *space);
void tally_unref(struct loop *l, struct tally *t);
struct tally *tally_site(struct loop *l);
struct tally *tally_none(struct loop *l);
/* Connections: one came, one found no place, one has ended. */
void tally_accepted(struct loop *l);
void tally_turned_away(struct loop *l);
void tally_closed(struct loop *l);
/* Something was counted. */
void tally_touch(struct loop *l, struct tally *t);
