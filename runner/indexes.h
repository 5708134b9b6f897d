/* Where packages come from, as this machine's own tools are set up (pip, uv, npm, apt, netrc,
 * proxies), read by a small program of Python's (static/indexes.py), which has the parsers of their
 * formats. What a build gets of it holds no credentials: those are in the policy of its proxy
 * alone. */
#pragma once

#include "common/buf.h"

#include <stdbool.h>

struct runner;
struct proto_start;

/* Begins to read them in a process of its own, unless that was done just now: to be called when a
 * build begins, which needs the answer later. */
void indexes_begin(struct runner *r);
/* The answer is there, or will not come: what follows does not wait for it. */
bool indexes_are_ready(struct runner *r);
/* Lines of egress/policy.h, the operator's [build] hosts among them. Waits for the reading to be
 * over, at most some seconds; holds credentials. 0 or -ENOBUFS, -ENOMEM. */
int indexes_policy(struct runner *r, struct buf *out);
/* The same without the indexes and their logins: what a build may reach that is told of another
 * host to fetch from. */
int indexes_policy_hosts(struct runner *r, struct buf *out);
/* Environment and mounts of a build: its proxy, its indexes, whom TLS trusts. -EMSGSIZE where there
 * is no room. */
int indexes_fill(struct runner *r, struct proto_start *start);
/* Of that, whom TLS trusts. */
int indexes_fill_trust(struct runner *r, struct proto_start *start);
/* What of it changes what requirements lead to; no credentials. */
void indexes_identity(struct runner *r, struct buf *out);
void indexes_free(struct runner *r);
