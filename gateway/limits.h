/* How many connections each address has, and how many of them are busy with the site. IPv6 counts
 * by /64. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct limits;
struct limits_address; /* one address that has connections */

struct limits *limits_new(void); /* NULL without memory */
void limits_free(struct limits *m);
/* Counts a connection; NULL where the address has `max` already (or without memory). */
struct limits_address *limits_enter(struct limits *m, const struct sockaddr_storage *peer,
                                    uint64_t max);
/* One more of an address that has some; false where it has `max` already. */
bool limits_again(struct limits_address *a, uint64_t max);
/* Counts a request to the site; false where the address has `max` under way already. */
bool limits_enter_site(struct limits_address *a, uint64_t max);
void limits_leave_site(struct limits_address *a);
void limits_leave(struct limits *m, struct limits_address *a);
