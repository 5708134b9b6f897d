/* The limits that a program ran into: bits, 1 << LIMIT_..., and their words, which are the same
 * wherever they are read: "out of memory: 512 MiB", "/tmp is full: 256 MiB". */
#pragma once

#include "space_limits.h"

#include <stddef.h>
#include <stdint.h>

#define LIMIT_BIT(which) (1u << (which))

/* One of them, with its value in the option's unit. */
void limit_met_text(enum space_limit which, uint64_t value, char out[80]);
/* All of `met`, separated by "; "; "" for none. */
void limits_met_text(uint32_t met, const struct space_limits *l, char *out, size_t size);
/* "tmp_size,log_rate", "" for none; and back, where unknown names are left out. */
void limits_met_names(uint32_t met, char *out, size_t size);
uint32_t limits_met_of_names(const char *list);

/* What a control group's numbers say: limits of memory, processes and CPU. */
uint32_t limits_met_of_group(uint64_t oom_kills, uint64_t pids_refused, uint64_t cpu_periods,
                             uint64_t cpu_throttled);
/* A program ended so, or a shell's status of one that did: by SIGXFSZ (`signal` 0: by `status`). */
uint32_t limits_met_of_end(int status, int signal);
