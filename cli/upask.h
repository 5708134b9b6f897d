/* Questions to the `vitrine up` of a data folder of this machine (DATA/run/up.sock). */
#pragma once

#include "common/err.h"
#include "common/proto.h"
#include "serveropts.h"

/* Asks, and waits for the answer: 0, or the refusal in its own words. `each` (may be NULL) gets the
 * programs of a UP_STATUS. -ENOENT, -ECONNREFUSED: nothing runs there; -EACCES: it is another
 * user's. */
int up_ask(const struct serveropts *opts, enum proto_up_what what,
           void (*each)(void *arg, const struct proto_up_program *p), void *arg, struct err *err);
