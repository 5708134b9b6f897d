/* The last numbers of each worker, as the runner sends them each second while somebody watches. */
#pragma once

#include "common/err.h"
#include "common/proto.h"

#include <stdbool.h>

struct stats;

struct stats_worker {
    uint64_t worker_id, memory_bytes, memory_limit_bytes, cpu_us, requests, pids, refs;
    double cpu_percent; /* of one core, between the last two messages */
};

int stats_new(struct stats **ret, struct err *err);
void stats_free(struct stats *s);

void stats_add(struct stats *s, const struct proto_worker_stat *m);

/* False where nothing is known that is younger than max_age_ms. */
bool stats_get(struct stats *s, uint64_t worker_id, unsigned max_age_ms, struct stats_worker *ret);

/* Waits until the numbers of this worker are younger than max_age_ms. */
void stats_await(struct stats *s, uint64_t worker_id, unsigned max_age_ms, unsigned timeout_ms);
