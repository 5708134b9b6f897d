/* How many connections each address has. IPv6 counts by /64. */
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
void limits_leave(struct limits *m, struct limits_address *a);
