/* The program's own process, from the fork by PID 1 to the exec: its last steps. */
#pragma once

#include "sandbox/launch.h"

/* What goes from there to PID 1 over a pipe that exec closes. */
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

/* `stdio`: the three descriptors that become 0, 1, 2. */
_Noreturn void program_main(const struct launch_env *env, struct order *order, const int stdio[3],
                            int report_fd);
