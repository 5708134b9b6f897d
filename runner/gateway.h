/* The links to the gateways: they ask for routes and for workers, are told where things stand, and
 * let go of workers that are to sleep (idle.c).
 *
 * There can be several: each loop of a gateway has a link of its own, and one that was replaced
 * goes on beside its successor until its streams have ended. Each of them may be using a worker, so
 * each is told and asked; one that ends is forgotten with all that it had. */
#pragma once

#include "runner/link.h"

#include <stdbool.h>
#include <stdint.h>

#define GATEWAYS_MAX 512 /* 16 loops of one that serves, and of as many others as `up` has */

struct runner;
struct space;

struct gateway {
    struct gateway *next; /* of the runner */
    struct runner *r;
    struct link link;
    unsigned index; /* below GATEWAYS_MAX; nobody else's while it is connected */
    uint16_t serial;
};

/* One more; takes the descriptor over. */
void gateway_connect(struct runner *r, int fd);
/* Tells where the Space stands, with a fresh dial connection to its worker if it has one. Nothing
 * happens without a gateway: it asks when it comes. */
void gateway_route(struct space *s);
void gateway_route_none(struct runner *r, const char *label);
void gateway_wait_line(struct space *s, const char *line);
/* webui's answer to whoever asked. */
void gateway_token_answer(struct runner *r, const struct proto_token_answer *m);

/* From time to time: what was counted of the gateways' notes is said. */
void gateway_tick(struct runner *r);
