/* What somebody who waits gets to see, on stderr: on a terminal one line that is redrawn, with a
 * bar where the whole is known and the time since the beginning; elsewhere a plain line for a phase
 * that takes long (so that a quick refusal is one line and no more). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool tty;
    uint64_t began_ms, phase_began_ms, drawn_ms, said_ms;
    char phase[32];
    bool drawn;
};

void progress_begin(struct progress *p);
/* A new phase: "pack", "upload", "unpack", "start". */
void progress_phase(struct progress *p, const char *phase);
/* Redraws, at most some ten times a second. `detail` may be NULL; total 0 where it is not known. */
void progress_update(struct progress *p, uint64_t done, uint64_t total, const char *detail);
/* Takes the line away, so that others can write. */
void progress_end(struct progress *p);
