/* What `vitrine-sandbox run` does while its sandbox runs: carries a terminal's bytes over pipes (so
 * that no terminal ever reaches the program), hands signals on, and waits for the end. */
#pragma once

#include "common/err.h"
#include "sandbox/cpu_class.h"
#include "sandbox/launch.h"

struct run_pump {
    int from, to; /* -1: closed */
    bool to_is_ours;
};

struct run_wait {
    int control;  /* to PID 1 */
    int stdio[3]; /* for the program: ours, or one end of a pipe */
    bool stdio_is_ours[3];
    struct run_pump pumps[3];
    int signal_fd;
    unsigned stops; /* signals that asked for the end so far */
    uint32_t met;   /* limits that it ran into, as PID 1 said last (limits_met.h) */
    struct cpu_classes classes;
};

int run_wait_open(struct run_wait *w, int control, uid_t uid, struct err *err);
/* The program has its descriptors: closes our copies, so that the ends of pipes are seen. */
void run_wait_handed_over(struct run_wait *w);
/* The program's status, or a negative errno where the sandbox could not be made. PID 1 may still be
 * about to end. `groups` is where its control group lies, or NULL. */
int run_wait(struct run_wait *w, struct launch *l, const struct cgroup_host *groups,
             struct err *err);
/* Takes the sandbox and what was made for it away, in a process of its own that goes on when this
 * one has ended: true where it does, and the caller is to _exit without further ado, since the two
 * share their memory. False where it is all done already. */
bool run_wait_leave(struct launch_env *env, struct launch *l);
