/* The PROXY header that opens a connection on a listener that is configured so (proxyhead.h): read
 * before anything else, off the socket itself, so that what follows it is TLS's or HTTP's alone. */
#pragma once

#include "client.h"

/* CLIENT_INTRO: once the header is there, the visitor's address is known and the state is
 * CLIENT_READ. A connection without one is closed. */
void intro_step(struct client *c);
/* Says, once a minute at most, that a connection was closed, and why. */
void intro_say(struct loop *l, const char *ip, const char *why);
