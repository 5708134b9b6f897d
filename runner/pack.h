/* When repositories are packed: after they were written to and then left alone, and once a day
 * each, one at a time, in a job (job/cmd_pack.c) that gives way to whoever wants to write. */
#pragma once

#include <stdbool.h>

struct runner;
struct space;

void pack_begin(struct runner *r);
/* Its repository was written to. */
void pack_later(struct space *s);
/* It is to be packed yet, so it stays in memory. */
bool pack_is_due(const struct space *s);
/* The job of pack_now() ended. */
void pack_ended(struct space *s, bool gave_way);
void pack_end(struct runner *r);
