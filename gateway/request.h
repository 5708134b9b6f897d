/* A request's head: read, parsed, and sent to who answers it. */
#pragma once

#include "client.h"

/* CLIENT_READ: reads, and once a head is whole sends it on its way; or the connection is parked. */
void request_read(struct client *c);
/* Answers what is no request, or not in time, and ends the connection after it. `why` is shown. */
void request_refuse(struct client *c, int status, const char *why);
/* The request's parsed head (loop->head), from the bytes that are still at the front of conn.in. */
const struct http1_head *request_head(struct client *c);
/* Sends the request at the front of conn.in on its way (again). */
void request_dispatch(struct client *c);
