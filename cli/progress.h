/* What somebody who waits gets to see, on stderr. On a terminal each phase has a line with a bar,
 * bytes and time, redrawn while it lasts and left there when it is done; elsewhere a plain line for
 * a phase that takes long (so that a quick refusal is one line and no more). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool tty, silent;
    uint64_t phase_began_ms, drawn_ms, said_ms; /* CLOCK_MONOTONIC */
    uint64_t done, total;                       /* as they were told last */
    char phase[32];                             /* "" before the first and after the last */
    char detail[200];
};

void progress_begin(struct progress *p);
/* Nobody waits: nothing is shown. */
void progress_begin_silent(struct progress *p);
/* A new phase, "scan", "pack", "upload", "check", "build" or "start"; the one before it is done.
 * Does nothing where that is the phase already. */
void progress_phase(struct progress *p, const char *phase);
/* Redraws, at most some ten times a second. `detail` may be NULL, and may be a stranger's; total 0
 * where it is not known. */
void progress_update(struct progress *p, uint64_t done, uint64_t total, const char *detail);
/* The last phase is done. */
void progress_done(struct progress *p);
/* Takes the line of a phase that is not done away, so that others can write. */
void progress_end(struct progress *p);
