/* Readiness: a worker is ready once it answered an HTTP request with a status below 500, asked over
 * the way that visitors take: a socket of its own network, connected to 127.0.0.1:PORT in there. */
#pragma once

#include "common/err.h"

#include <stdint.h>

struct probe;
struct worker;

/* Asks at once and again, quickly at first, until it is ready; then calls on_ready, once (the probe
 * may be freed in there). What comes out of a sandbox is hostile: nothing here blocks. */
int probe_new(struct probe **ret, struct worker *w, const char *host,
              void (*on_ready)(struct worker *w), struct err *err);
void probe_free(struct probe *p); /* NULL is fine */
/* The status of the last answer, which was not good enough; 0 without any. NULL is fine. */
int probe_last_status(const struct probe *p);
