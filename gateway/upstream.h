/* One connection to a demo (or to the site). */
#pragma once

#include "worker.h"

/* Is it what a worker may hand out? A TCP socket over IPv4; the site: a stream Unix socket. */
bool upstream_socket_ok(int fd, bool site);
/* Takes the socket over for the client. True: it is connected and the client's upstream. False: the
 * client waits in CLIENT_DIAL, or its connection failed already (proxy_connect_failed). */
bool upstream_open(struct client *c, struct worker *w, int fd);
/* Gives the client an idle connection, if there is one that can be trusted with the request. */
bool upstream_reuse(struct client *c, struct worker *w);
void upstream_pool_free(struct workers *ws);
