/* The program's own process, from the fork by PID 1 to the exec: its last steps. It is forked
 * before there is an order and does what does not depend on one; then it waits for its three
 * descriptors, with which PID 1 says that the order's part is done (pass_fds). */
#pragma once

#include "sandbox/launch.h"

/* What goes from there to PID 1, over a SEQPACKET socket that exec closes. */
enum program_stage {
    PROGRAM_SETUP_FAILED = 1, /* a step failed: "step: reason" */
    PROGRAM_READY,            /* exec comes next */
    PROGRAM_EXEC_FAILED,
};
struct program_report {
    int stage;
    int code; /* positive errno */
    char msg[480];
};

_Noreturn void program_main(const struct launch_env *env, struct order *order, int sock);
