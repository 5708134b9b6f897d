/* What the gateways counted (TALLY), summed up by Space for as long as this runner lives, and as
 * text for Prometheus. A gateway may come and go: counts stay, what was under way in it does not.
 */
#pragma once

#include "common/proto.h"

struct runner;
struct metrics;

/* `from` tells one gateway from another. */
void metrics_tally(struct runner *r, const void *from, const struct proto_tally *t);
void metrics_gateway_stat(struct runner *r, const void *from, const struct proto_gateway_stat *s);
void metrics_gateway_gone(struct runner *r, const void *from);
void metrics_deleted(struct runner *r, uint64_t space_id);
/* The text in a memfd, or -errno. */
int metrics_text(struct runner *r, struct err *err);
void metrics_free(struct runner *r);
