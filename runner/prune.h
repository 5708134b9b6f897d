/* What life.db may forget: old events, and workers that ended long ago. */
#pragma once

#include <stdbool.h>

struct runner;

/* A small batch (a millisecond), so that nobody waits for it. True where more is due. */
bool prune_step(struct runner *r);
