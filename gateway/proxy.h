/* The exchange between a visitor and a demo: head, body and answer, as both can take them. */
#pragma once

#include "client.h"

struct worker;

/* Forwards the client's request to a worker. */
void proxy_request(struct client *c, struct worker *w);
/* The client has an upstream that is connected: sends its request. */
void proxy_begin(struct client *c);
/* The connection to the worker could not be made. */
void proxy_connect_failed(struct client *c, int error);
/* CLIENT_PROXY: moves what can be moved. */
void proxy_step(struct client *c);
/* CLIENT_RELAY */
void relay_step(struct client *c);
/* The state's time is over. */
void proxy_timeout(struct client *c);
