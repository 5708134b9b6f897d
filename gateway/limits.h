/* How many connections each address has, and how many of them are busy with the site (IPv6 counts
 * by /64); also how many requests wait for a Space.
 *
 * All loops of a gateway (crew.h) count in one table, so that the limits hold over all of them.
 * There is no lock: a count is one word, changed by compare and exchange, when a connection or a
 * wait begins and ends. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct limits;
struct limits_address; /* one address (or one Space) that is counted; it is there until its count is
                          0 again */

/* Room for `max` that are counted at the same time, and more. NULL without memory. */
struct limits *limits_new(uint64_t max);
void limits_free(struct limits *m);
/* Counts a connection; NULL where the address has `max` already. */
struct limits_address *limits_enter(struct limits *m, const struct sockaddr_storage *peer,
                                    uint64_t max);
/* The same by name: `what` tells one kind of count from another. */
struct limits_address *limits_enter_named(struct limits *m, char what, const char *name,
                                          uint64_t max);
/* One more of an address that has some; false where it has `max` already. */
bool limits_again(struct limits_address *a, uint64_t max);
/* Counts a request to the site of an address that has a connection; false where it has `max` under
 * way already. */
bool limits_enter_site(struct limits_address *a, uint64_t max);
void limits_leave_site(struct limits_address *a);
void limits_leave(struct limits_address *a);
