/* What PID 1 sees of the limits that its program runs into: file systems that are full, output that
 * says that no more files could be opened. A control group's limits are seen from outside.
 *
 * Nothing is watched: PID 1 looks when the program writes a line, when the runner asks since it is
 * used, and at the end, so that an idle worker takes no time. What was full and is not any more at
 * each of these moments is missed. */
#pragma once

#include "common/limits_met.h"

#include <stddef.h>
#include <stdint.h>

struct init_met {
    struct space_limits limits; /* those of file systems, open files, file size and log */
    uint32_t met;
    uint64_t looked_ms;
    char tail[32]; /* the end of the last output: words may be torn */
    size_t tail_len;
};

/* Looks at the sizes, at most once in `every_ms`. */
void init_met_look(struct init_met *m, uint64_t every_ms);
/* Takes notice of what the program wrote. */
void init_met_output(struct init_met *m, const char *data, size_t len);
