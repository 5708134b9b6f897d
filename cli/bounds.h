/* What gateways and webui may use of the machine's memory and threads: a control group for each,
 * where there are control groups. Who asks numbers them. The runner makes the demos' and is in
 * none. */
#pragma once

#include "common/conf.h"
#include "common/proto.h"

#include <stdbool.h>

struct bounds;

/* NULL where there are no control groups that are ours, which is said in the log. The others take
 * NULL for that; what fails leaves the program without, and is said as well. */
struct bounds *bounds_open(const struct conf *conf);
void bounds_close(struct bounds *b); /* when the programs have ended */

/* Before a program of that role is started: a fresh group. */
void bounds_make(struct bounds *b, enum proto_role role, unsigned group);
/* In its process, before its exec. */
void bounds_join(const struct bounds *b, enum proto_role role, unsigned group);
/* When it has ended: whether it ran out of memory. */
bool bounds_ran_out(struct bounds *b, enum proto_role role, unsigned group);
