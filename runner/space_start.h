/* What space.c has done by space_start.c, beside what space.h tells everybody. */
#pragma once

#include "runner/space.h"

/* A worker of the version that is to run: now, or once there is a place for it. */
void space_begin_start(struct space *s);
/* Asks the worker in that place to end, and forgets it there. */
void space_end_worker(struct space *s, struct worker **slot);
