/* Running an installer and telling what it does: every line that it prints becomes a line
 * `log STEP TEXT` on stdout, without control characters, and the last ones are kept for the reason
 * of a failure. */
#pragma once

#include "common/err.h"

#include <stddef.h>

enum { STEPS_TAIL_LINES = 12, STEPS_LINE_MAX = 400 };

struct tail {
    char lines[STEPS_TAIL_LINES][STEPS_LINE_MAX];
    unsigned count; /* of all that came */
};

/* Runs argv (argv[0] is a path) to its end. 0, or -EIO with how it ended. `tail` begins anew. */
int steps_run(const char *step, const char *const *argv, struct tail *tail, struct err *err);

/* One line of ours. */
void steps_log(const char *step, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What the installer said last about its failure, on one line. */
void steps_reason(const struct tail *tail, char *out, size_t size);
/* steps_run, whose failure is said as STEP: REASON (how it ended). */
int steps_do(const char *step, const char *const *argv,
             void (*reason)(const struct tail *tail, char *out, size_t size), struct err *err);
