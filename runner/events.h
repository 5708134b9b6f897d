/* The append-only event log of life.db, and the same as lines of the program's own log. */
#pragma once

#include <stdint.h>

struct runner;
struct space;

/* `event` is a dotted name, the rest a sentence or more (at most 4 KiB). `s` may be NULL, worker_id
 * 0. A row that cannot be written is logged and forgotten. */
void event_add(struct runner *r, const struct space *s, uint64_t worker_id, const char *event,
               const char *fmt, ...) __attribute__((format(printf, 5, 6)));
