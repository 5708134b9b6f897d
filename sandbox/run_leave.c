/* The end of `vitrine-sandbox run`: see run_wait_leave. Until PID 1 and its namespaces are gone,
 * and control groups and mounts are removed, a millisecond or more passes, much of it the kernel's
 * grace periods; whoever waits for the program has its status by then. It is done as leftovers.h
 * says of the starter's. */
#include "run_wait.h"

#include "sandbox/cpu_class.h"
#include "sandbox/sweep.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_BYTES 65536

struct left {
    struct launch_env *env;
    struct launch *launch;
    struct cpu_classes classes;
    bool apart; /* nobody waits for us */
};

static void take_away(struct left *left)
{
    /* it ends by itself: killed now, what it has still to say would be lost */
    struct pollfd end = {.fd = left->launch->pidfd, .events = POLLIN};
    while (poll(&end, 1, -1) < 0 && errno == EINTR)
        ;
    if (left->apart) {
        cpu_classes_step_back(&left->classes);
        sweep(left->launch->mounts_fd, &left->launch->own);
    }
    launch_abandon(left->env, left->launch);
    launch_env_close(left->env);
}

static int left_main(void *arg)
{
    syscall(SYS_close_range, 0, 2, 0); /* somebody may wait for the end of what these are */
    take_away(arg);
    _exit(0);
}

bool run_wait_leave(struct launch_env *env, struct launch *l)
{
    static char stack[STACK_BYTES] __attribute__((aligned(16)));
    static struct left left; /* the caller's frame ends before we do */
    static struct launch_env kept_env;
    static struct launch kept;
    kept_env = *env;
    kept = *l;
    left = (struct left){.env = &kept_env, .launch = &kept};
    /* as somebody's PID 1 we take all others with us; sharing the memory saves copying its tables
     */
    left.apart = getpid() != 1;
    if (!left.apart || clone(left_main, stack + sizeof(stack), CLONE_VM, &left) < 0) {
        left.apart = false;
        take_away(&left);
        return false;
    }
    return true;
}
