/* Where builds find packages: what the operator's configuration says, as an installer takes it. */
#pragma once

#include "common/buf.h"
#include "common/proto.h"

#include <stdbool.h>

struct runner;

/* Environment of an installer, and folders that it reads. -EMSGSIZE where there is no room. */
int build_index_fill(struct proto_start *start, struct runner *r);
/* Builds reach package indexes, through a proxy (egress.h) for which indexes.h has the settings. */
bool build_index_has_way_out(const struct runner *r);
/* What of it changes what requirements lead to. */
void build_index_identity(struct runner *r, struct buf *out);
/* The operator's uv, "" for none: `out` holds PATH_MAX. */
void build_index_uv(const struct runner *r, char *out);
