/* Making one sandbox, seen from outside: the process that will be its PID 1 is cloned into its
 * namespaces and its control group, enters the root that it is given, and is held there; then it
 * gets its order, works it off (child.c), and says how that went.
 *
 * Between the two halves may lie any time: the starter keeps such processes ready, since
 * namespaces, control groups and the root are the slow part and depend on nothing but the root that
 * an order says. */
#pragma once

#include "common/err.h"
#include "common/userns.h"
#include "sandbox/cgroup.h"
#include "sandbox/leftovers.h"
#include "sandbox/net_relay.h"
#include "sandbox/plan.h"
#include "sandbox/root.h"
#include "sandbox/spec.h"
#include "sandbox/steps.h"
#include "sandbox/sweep.h"

#include <stdbool.h>
#include <sys/types.h>

/* What all sandboxes of one process share. */
struct launch_env {
    struct userns_range range;
    struct root_cache roots;
    struct cgroup_host groups;
    bool has_groups;
    char missing[128]; /* limits that no control group can set: "memory, cpu"; "" if none */
    /* Called, where there is one, for each process before it forks the program's. */
    int (*on_born)(void *arg, pid_t pid, struct err *err);
    void *on_born_arg;
};

/* What the child is to do. Lies in memory that both share until the child is done. */
struct order {
    struct sandbox_spec spec;
    struct plan plan;
    int fds[SPEC_FD_COUNT];
    int relay_fd;                 /* to the relay of a network that leads out, or -1 */
    struct net_host host;         /* for such a network */
    bool memory_limited;          /* by a control group */
    struct own_files own;         /* told by the child */
    struct steps inside, program; /* as far as they came */
};

struct launch {
    pid_t pid; /* 0: nothing is open */
    int pidfd;
    int sock; /* to the child, SEQPACKET */
    struct order *order;
    int mounts_fd; /* its mount namespace: see launch_finish */
    unsigned root_serial;
    struct cgroup_group group;
    char unconfirmed[64]; /* limits that the kernel did not show as they were set; "" if none */
    struct net_relay relay;
    struct own_files own; /* once it runs */
    struct steps steps;
};

/* A private copy of the mount namespace, range, groups (`instance` NULL: for one sandbox at a time,
 * see cgroup.h for it and `weigh_io`). Once a process; the process should
 * own its namespaces (be root or have entered the outer namespace). */
int launch_env_open(struct launch_env *env, const char *instance, uid_t uid_first, bool weigh_io,
                    struct err *err);
void launch_env_close(struct launch_env *env);

/* Clones the child, which enters a copy of the root of that name and then waits. After an error
 * what there is of it is the caller's to drop or abandon. */
int launch_open(struct launch_env *env, const char *root, struct launch *ret, struct err *err);
/* Whether a launch that was opened some time ago has the root that an order with `root` would get
 * now: 1, 0, or a negative errno where that root cannot be had. */
int launch_fits(struct launch_env *env, const struct launch *l, const char *root, struct err *err);

/* Gives the order: `start` with `fds` (by enum spec_fd; -1 where there is none; they stay the
 * caller's). After an error the launch is of no use any more: launch_drop or launch_abandon. */
int launch_go(struct launch_env *env, struct launch *l, const struct proto_start *start,
              const int fds[SPEC_FD_COUNT], struct err *err);

/* How it went, without waiting: 1 the sandbox runs, -EAGAIN not known yet, else "step: reason". */
int launch_result(struct launch *l, struct err *err);

/* Lets go of what is only needed until the result is known; pidfd, mounts_fd, group and relay are
 * the caller's from here. While mounts_fd is open, the mounts outlive the sandbox, and taking them
 * down (which waits for the kernel) keeps nobody waiting for its end. */
void launch_finish(struct launch *l);

/* Kills the child, and lets go of everything but what it leaves behind, which is the caller's. */
void launch_drop(struct launch *l, struct leftover *ret);
/* The same, and takes that away: waits. */
void launch_abandon(struct launch_env *env, struct launch *l);

/* Descriptors that go with an order, at most: the kernel takes 253 in one message. */
#define LAUNCH_MAX_PASSED (SPEC_FD_COUNT + SPEC_MAX_MOUNTS + SPEC_MAX_OVER + 3)

/* What the child says. */
struct launch_answer {
    int code; /* 0 or a positive errno */
    char msg[512];
};

/* The child's half (child.c): never returns. */
_Noreturn void child_main(const struct launch_env *env, struct order *order, int sock);
