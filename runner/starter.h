/* The resident starter: one `vitrine-sandbox starter` that makes every sandbox, so that a start
 * costs a clone and not an exec and a set-up. Started here, and again whenever it ends; workers do
 * not notice. */
#pragma once

#include "common/err.h"

struct runner;

int starter_begin(struct runner *r, struct err *err);
/* Closes its connection, upon which it exits, and waits for it briefly. */
void starter_end(struct runner *r);
