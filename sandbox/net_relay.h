/* The way out of a sandbox: slirp4netns, which holds the other end of an interface (a tap) in the
 * sandbox's network namespace and makes its connections again in ours, as a process like any other.
 *
 * It is made by the starter, lives for one sandbox, and hangs on one socket pair with its PID 1:
 * when either ends, the other sees it. It runs in a control group and in pid, mount and IPC
 * namespaces of its own; from the moment on from which it looks at a packet it has no files, no
 * capability but that of binding low ports, and two filters of system calls. */
#pragma once

#include "common/err.h"
#include "common/proto.h"
#include "sandbox/cgroup.h"
#include "sandbox/filter.h"
#include "sandbox/net_rules.h"

#include <stdbool.h>
#include <sys/types.h>

struct net_relay {
    int pidfd; /* -1: none */
    struct cgroup_group group;
};

/* ---- the starter's side */

/* Where slirp4netns is, or NULL. */
const char *net_relay_program(void);
/* Makes the process, which waits for the sandbox's word on the other end of *ret_sock. `groups` may
 * be NULL. After an error, too, net_relay_end is for the caller to call. */
int net_relay_start(struct net_relay *relay, struct cgroup_host *groups,
                    const struct proto_start *st, int *ret_sock, struct err *err);
/* Ends it, if it has not ended, and removes its group. */
void net_relay_end(struct net_relay *relay, struct cgroup_host *groups);

/* Beside slirp4netns's own: no sockets but those of the internet, no doors into the kernel that it
 * does not need, no calls of other tables (net_relay_filter.c). */
extern const struct filter_program net_relay_filter;

/* ---- the sandbox's side, while it has CAP_NET_ADMIN over its namespace */

/* Loads the rules, then has the relay attached and waits for that; then limits the bandwidth.
 * `proc_fd` is the private procfs. After success `sock` tells of the relay's end. */
int net_relay_attach(int proc_fd, int sock, const struct proto_start *st,
                     const struct net_host *host, struct err *err);
