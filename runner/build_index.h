/* Where builds find packages: what the operator's configuration says, as an installer takes it. */
#pragma once

#include "common/buf.h"
#include "common/proto.h"

struct runner;

/* Environment of an installer, and folders that it reads. -EMSGSIZE where there is no room. */
int build_index_fill(struct proto_start *start, const struct runner *r);
/* What of it changes what requirements lead to. */
void build_index_identity(const struct runner *r, struct buf *out);
/* The operator's uv, "" for none: `out` holds PATH_MAX. */
void build_index_uv(const struct runner *r, char *out);
