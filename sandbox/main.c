/* vitrine-sandbox: makes one sandbox, then stays in it as its PID 1.
 *
 *   vitrine-sandbox run [options] -- ARGV    one sandbox, by hand
 *   vitrine-sandbox trace [options] -- ARGV  the same, and what it asked for and did not get
 *   vitrine-sandbox starter                  resident, for the runner (fd 3)
 *   vitrine-sandbox check [--json]           what this machine offers
 *
 * How it works. A sandbox is asked for by one message, START (common/proto.h); `run` makes that
 * message from its options, so there is one way only.
 *
 *   launch.c   outside: a control group (cgroup.c), and a process cloned into new user, mount and
 *              pid namespaces, which gets a copy of the root (root.c), enters it and is held there.
 *              Then the order: sources of mounts opened while we still may (plan.c), limits, the
 *              maps of ids (userns.c), everything handed over by descriptor.
 *   child.c    inside: the list of steps. no_new_privs, descriptors closed; the other namespaces;
 *              loopback (network.c); the root entered (mounts.c); cgroup; no further user
 *              namespaces; the fork; the old root let go; after the order identity, the mounts of
 *              its own, and the program's process let go.
 *   program.c  the program's side of the fork: session, then held until the order's mounts are
 *              there; limits (limits.c), credentials (creds.c), keyring, Landlock (landlock.c), the
 *              filter (filter.c; its rules are in filter/, made into a program while Vitrine is
 *              built) last, exec.
 *   init.c     PID 1's side: under a filter of its own, with CAP_KILL alone, it reaps, pumps the
 *              log (init_log.c), answers the runner and hands out sockets (init_peers.c), counts
 *              what is used (init_stats.c), and ends when the program has ended, when it is told
 *              to, or when nobody has been connected for the time of the lease.
 *
 * As an ordinary user the process first enters an outer user namespace (common/userns.c); from
 * there on both cases are the same, but for control groups, which need delegation then.
 *
 * An error on the way is one sentence, "step: reason", that goes back to whoever asked. Nothing
 * here runs a shell, and no path of the tenant's is opened outside of the sandbox. */
#include "common/err.h"
#include "sandbox/check.h"
#include "sandbox/memfd_exec.h"
#include "sandbox/run.h"
#include "sandbox/starter.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int usage(FILE *out, int status)
{
    fputs("usage: vitrine-sandbox run [options] -- PROGRAM [ARGUMENT...]\n"
          "       vitrine-sandbox trace [options] -- PROGRAM [ARGUMENT...]\n"
          "       vitrine-sandbox check [--json]\n"
          "       vitrine-sandbox starter [--instance NAME] [--uid-first N]   (for the runner)\n",
          out);
    return status;
}

/* 0, 1 and 2 must be something, or what is opened next would be. */
static void open_missing_stdio(void)
{
    int fd;
    while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd < 3)
        ;
    if (fd >= 3)
        close(fd);
}

static int starter_command(int argc, char **argv)
{
    const char *instance = "default";
    uid_t uid_first = 0;
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 == argc)
            return usage(stderr, 2);
        if (strcmp(argv[i], "--instance") == 0 && !strchr(argv[i + 1], '/'))
            instance = argv[i + 1];
        else if (strcmp(argv[i], "--uid-first") == 0)
            uid_first = (uid_t)strtoul(argv[i + 1], NULL, 10);
        else
            return usage(stderr, 2);
    }
    memfd_exec(argv);
    return starter_main(instance, uid_first);
}

int main(int argc, char **argv)
{
    open_missing_stdio();
    umask(0022); /* whatever the caller's: the folders of a root are for its tenant to enter */
    if (argc < 2)
        return usage(stderr, 2);
    if (strcmp(argv[1], "run") == 0 || strcmp(argv[1], "trace") == 0)
        return run_main(argc - 1, argv + 1);
    if (strcmp(argv[1], "starter") == 0)
        return starter_command(argc, argv);
    if (strcmp(argv[1], "check") == 0)
        return check_main(argc - 1, argv + 1);
    if (strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    return usage(stderr, 2);
}
