/* New connections: who gets a place, and in which loop. */
#pragma once

#include "loop.h"

/* Accepts what waits at a listener. */
void accept_on_listener(struct loop *l, struct io *io, uint32_t events);

struct sockaddr_storage;
/* A connection that was accepted there is this loop's from now on. */
void accept_take(struct loop *l, const struct listener *from, int fd,
                 const struct sockaddr_storage *peer);
