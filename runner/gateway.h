/* The link to the gateway: it asks for routes and for workers, it is told where things stand, and
 * it lets go of workers that are to sleep (idle.c). */
#pragma once

struct runner;
struct space;

/* Takes the descriptor over; it replaces an earlier one. */
void gateway_connect(struct runner *r, int fd);
/* Tells where the Space stands, with a fresh dial connection to its worker if it has one. Nothing
 * happens without a gateway: it asks when it comes. */
void gateway_route(struct space *s);
void gateway_route_none(struct runner *r, const char *label);
void gateway_wait_line(struct space *s, const char *line);

/* From time to time: what was counted of the gateway's notes is said. */
void gateway_tick(struct runner *r);
