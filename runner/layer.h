/* Debian packages of a Space, as job/debs.h unpacks them: envs/KEY/env, laid over the root of its
 * worker and of the builds that come after them. */
#pragma once

struct proto_start;
struct runner;

/* Mounts and variables of a sandbox that has the layer `key`. -EMSGSIZE where there is no room. */
int layer_fill(struct proto_start *start, const struct runner *r, const char *key);
