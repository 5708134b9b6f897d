/* A port of this machine that leads into the sandbox of `vitrine dev`. Each connection carries one
 * request; pages for a browser get a script that reloads them (devpage.h), everything else passes
 * as it is. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct devrelay;

/* Listens on 127.0.0.1 and, where there is one, [::1]; port 0 takes a free one, which *port
 * becomes. `dial_path` is the socket on which PID 1 of the sandbox listens. A thread serves from
 * now on, for the rest of the process's life. */
int devrelay_open(struct devrelay **ret, uint16_t *port, const char *dial_path, struct err *err);

/* Where the program listens in there; 0: there is no program, visitors are told so at once. With a
 * port they wait until it listens. */
void devrelay_set(struct devrelay *r, uint16_t port);

/* Pages that are open in a browser reload: the program has been started anew. */
void devrelay_reload(struct devrelay *r);

/* Asks the program for `/`: the status of its answer, 0 while there is none. Takes `timeout_ms` at
 * most. */
int devrelay_probe(const struct devrelay *r, int timeout_ms);
