/* What goes to the runner, over the socket that is also the proxy's lease: lines for the build's
 * log, each once, and lines that begin with '@' for the runner itself:
 *
 *   @ready                        connections are taken
 *   @count CONNECTIONS IN OUT     totals in bytes, when they have changed, at most ten times a
 * second
 *   @refused HOST:PORT            what is not allowed was asked for */
#pragma once

#include "common/buf.h"

#include <stdint.h>

#define SAY_LINES 200 /* more are not said */

struct say {
    int fd;
    struct buf pending;
    unsigned said;
    uint64_t hashes[SAY_LINES];
    uint64_t counted_ms, counted; /* when and what was counted last */
};

void say_init(struct say *s, int fd);
/* A line for the log, unless it was said before. Control characters become blanks. */
void say(struct say *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line for the runner, each time. */
void say_runner(struct say *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sends what the socket takes. */
void say_flush(struct say *s);
