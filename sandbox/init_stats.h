/* What the processes of a sandbox use, counted by its PID 1 where no control group does. */
#pragma once

#include "common/proto.h"

/* `proc_fd` is a procfs of this pid namespace. Memory is the sum of resident sets: what several
 * share counts several times. */
void init_stats_read(int proc_fd, struct proto_init_stats *ret);
