/* Who is in use and who may end: a worker is only stopped once every gateway has let go of it,
 * which each does if nothing is in flight there. The clock of idleness is the gateways'; here are
 * the questions, asked when they may be answered with yes. One that has let go and asks for the
 * route again before the others have answered has it again, and the worker stays. */
#pragma once

#include "common/proto.h"

struct runner;
struct worker;
struct gateway;

/* A serving worker: asked to sleep when it was idle for the Space's sleep time. */
void idle_watch(struct worker *w);
/* The sleep time of its Space changed. */
void idle_retime(struct worker *w);
/* A worker whose successor serves: let go of as soon as its streams end, and ended after
 * drain_timeout all the same. */
void idle_drain(struct worker *w);
/* Somebody waits for a place, or for GPUs: the serving worker (that has some) that was not in use
 * for the longest time is asked to sleep. */
void idle_make_room(struct runner *r);

void idle_answer(struct gateway *g, const struct proto_sleep_answer *m);
void idle_counters(struct gateway *g, const struct proto_counters *m);
/* It is being told of the worker. */
void idle_routed(struct worker *w, const struct gateway *g);
/* One came where there was none. */
void idle_gateway_first(struct runner *r);
/* One went: its visitors are gone, and questions to it are void. */
void idle_gateway_gone(const struct gateway *g);
