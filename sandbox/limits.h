/* What bounds the program beside the cgroup: resource limits, and the score by which the kernel
 * chooses whom an out-of-memory ends. */
#pragma once

#include "common/err.h"
#include "sandbox/spec.h"

#include <stdbool.h>

/* For PID 1, before it forks the program: user namespaces inside are forbidden and inotify's
 * instances, which count for the starter's user too, are few (`proc_fd`: the private procfs); the
 * program will be the one that memory runs out for. */
#define LIMITS_INOTIFY 2
int limits_of_namespace(int proc_fd, struct err *err);
int limits_oom_score(int proc_fd, int score, struct err *err);

/* Asks for turns of 0.1 ms instead of the 3 ms that are usual: a worker that wakes up to answer
 * then waits less for another that computes (a neighbour's p99 beside eight that spin: 3.3 to 4.9
 * ms before, 0.5 to 1 ms mostly with it). Children have it, too. Linux before 6.12 ignores it. */
void limits_ask_for_short_turns(void);

/* For the program. has_group: memory and pids are limited by a cgroup; without one RLIMIT_DATA
 * stands in for memory (each process for itself). */
int limits_apply(const struct sandbox_spec *s, bool has_group, struct err *err);
/* ... and those that no order changes. */
int limits_apply_fixed(struct err *err);
