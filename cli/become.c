#include "become.h"

#include "common/service.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <unistd.h>

_Noreturn void become_program(const char *folder, const char *name, int sup_fd, int conf_fd,
                              const sigset_t *mask)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    setsid();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int a = fcntl(sup_fd, F_DUPFD_CLOEXEC, 10), b = fcntl(conf_fd, F_DUPFD_CLOEXEC, 10);
    if (null < 0 || a < 0 || b < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0 ||
        dup2(a, SERVICE_SUP_FD) < 0 || dup2(b, SERVICE_CONF_FD) < 0 ||
        close_range(SERVICE_CONF_FD + 1, ~0U, 0) < 0)
        _exit(126);
    for (int sig = 1; sig < SIGRTMAX; sig++)
        signal(sig, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execv(path, (char *[]){(char *)name, NULL});
    _exit(127);
}
