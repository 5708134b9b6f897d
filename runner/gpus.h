/* Which worker has which GPU. One belongs to one worker from before its start until every process
 * of it is gone; what a worker has is in its row of life.db before it is started, so a new runner
 * knows. Spaces that want more than is free wait in a line of their own, in order; who does not
 * look at his makes room (idle.c). A Space that has taken some may still wait for a place
 * (budget.h). */
#pragma once

#include "common/err.h"
#include "common/proto.h"

#include <stdbool.h>
#include <stdint.h>

struct runner;
struct space;
struct worker;

/* Looks what there is: at the start, and whenever somebody wants one. */
void gpus_look(struct runner *r);
/* The same, and says it, with what is wrong. */
void gpus_begin(struct runner *r);

/* Takes as many as the Space's hardware has, for its next start, and returns true. Else it waits in
 * the line, s->reason says why; or there will never be as many, and it was held up. */
bool gpus_take(struct space *s);
/* Its turn has come: what it waited for is its own. */
void gpus_taken(struct space *s);
/* It is not going to start: out of the line, and what it has taken is free. */
void gpus_leave(struct space *s);
/* What its Space has taken becomes the worker's, by name. */
int gpus_give(struct worker *w, struct err *err);
/* The worker is gone, or was never started. */
void gpus_give_back(struct worker *w);
/* One that ran already, with `gpus` of its row. */
void gpus_adopt(struct worker *w, const char *gpus);
/* The devices, for its START message: -EMSGSIZE where they do not fit. */
int gpus_fill(struct proto_start *start, const struct worker *w);

/* How many more are to be given back before the first in line can start: 0 where nobody waits. */
uint64_t gpus_short(const struct runner *r);
/* Who waits is told who has them now, if that has changed, or that there are not as many any more.
 */
void gpus_tell(struct runner *r);
