/* What life.db may forget: old events, and workers that ended long ago. */
#pragma once

struct runner;

/* A small batch, so that nobody waits for it. Called from time to time. */
void prune_step(struct runner *r);
