/* What a worker with a way out may reach, as rules in its own network namespace: public addresses,
 * except the host's own and what the operator denies; besides those only what he allows. */
#pragma once

#include "common/err.h"
#include "common/netrule.h"
#include "common/proto.h"

#include <stdint.h>

/* Addresses inside, chosen from the range for measurements of networks (RFC 2544), which nobody's
 * network has and which is refused otherwise. slirp4netns answers for the resolver at number 3. */
#define NET_CIDR "198.19.240.0/24"
#define NET_RESOLVER "198.19.240.3"
#define NET_TAP "tap0"

#define NET_MAX_HOST 256 /* addresses of the host's own interfaces */

struct net_host {
    struct netrule addresses[NET_MAX_HOST];
    int n;
};

/* The addresses of every interface of the calling process's namespace, for the host must not be
 * reached by any of them. -E2BIG where there are too many to refuse them all. */
int net_host_read(struct net_host *ret, struct err *err);

/* Loads the rules into the namespace that we are in, and has them confirmed. */
int net_rules_load(const struct proto_start *st, const struct net_host *host, struct err *err);

/* A whole list of START: checks it. */
int net_rules_check(const struct proto_start *st, struct err *err);
