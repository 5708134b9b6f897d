/* After a start of this program: finds what an earlier runner left (it may have been killed at any
 * moment, or the machine may have been restarted) and goes on from there. */
#pragma once

#include "common/err.h"

struct runner;

/* Takes over every worker that lives, writes down the end of those that do not, ends what nobody
 * knows, removes what was half made, and brings every Space into a state that the lifecycle table
 * knows. Fails only where life.db cannot be read. */
int adopt_all(struct runner *r, struct err *err);
