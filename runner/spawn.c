/* See spawn.h. */
#include "runner/spawn.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

int spawn_program(const char *path, posix_spawn_file_actions_t *files, char *const argv[],
                  char *const env[], struct err *err)
{
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t pid;
    int n = posix_spawn(&pid, path, files, &attr, argv, env);
    posix_spawn_file_actions_destroy(files);
    posix_spawnattr_destroy(&attr);
    if (n)
        return err_set(err, n, "cannot start %s: %s", path, strerror(n));
    int fd = pidfd_open(pid, 0);
    return fd < 0 ? err_errno(err, "cannot watch %s (pid %d)", argv[0], pid) : fd;
}
