/* Who is in use and who may end: a worker is only stopped once the gateway has let go of it, which
 * it does if nothing is in flight there. The clock of idleness is the gateway's; here are the
 * questions, asked when they may be answered with yes. */
#pragma once

#include "common/proto.h"

struct runner;
struct worker;

/* A serving worker: asked to sleep when it was idle for the Space's sleep time. */
void idle_watch(struct worker *w);
/* The sleep time of its Space changed. */
void idle_retime(struct worker *w);
/* A worker whose successor serves: let go of as soon as its streams end, and ended after
 * drain_timeout all the same. */
void idle_drain(struct worker *w);
/* Somebody waits for a place: the serving worker that was not in use for the longest time is asked
 * to sleep. */
void idle_make_room(struct runner *r);

void idle_answer(struct runner *r, const struct proto_sleep_answer *m);
void idle_counters(struct runner *r, const struct proto_counters *m);
/* The gateway went, or a new one came: questions to the old one are void. */
void idle_gateway_changed(struct runner *r);
