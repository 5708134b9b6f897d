/* See program.h. */
#include "program.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "sandbox/creds.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct program {
    const struct launch_env *env;
    struct order *order;
    const int *stdio;
    int report_fd;
};

/* A session of its own: no controlling terminal, whatever its descriptors are. */
static int step_session(struct program *p, struct err *err)
{
    (void)p;
    return setsid() < 0 ? err_errno(err, "setsid") : 0;
}

static int step_stdio(struct program *p, struct err *err)
{
    /* upwards first: a source below 3 must not be overwritten before it is used */
    int up[3];
    for (int i = 0; i < 3; i++)
        if ((up[i] = fcntl(p->stdio[i], F_DUPFD_CLOEXEC, 10)) < 0)
            return err_errno(err, "move descriptor %d", i);
    for (int i = 0; i < 3; i++)
        if (dup2(up[i], i) < 0)
            return err_errno(err, "set descriptor %d", i);
    return 0;
}

static int step_limits(struct program *p, struct err *err)
{
    return limits_apply(&p->order->spec, p->order->memory_limited, err);
}

static int step_credentials(struct program *p, struct err *err)
{
    (void)p;
    return creds_become_user(err);
}

/* A session keyring of its own; the filter then closes the door to keys altogether. Where the
 * kernel has no keys there is nothing to leave behind. */
static int step_keyring(struct program *p, struct err *err)
{
    (void)p;
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
        return err_errno(err, "join a new session keyring");
    return 0;
}

static int step_folder(struct program *p, struct err *err)
{
    const char *cwd = p->order->spec.start.cwd;
    if (chdir(cwd) < 0)
        return err_errno(err, "enter %s", cwd);
    char now[4096];
    /* "(unreachable)/..." would be a folder outside of this root (CVE-2024-21626) */
    if (!getcwd(now, sizeof(now)) || now[0] != '/')
        return err_set(err, EXDEV, "%s is not inside of the sandbox", cwd);
    umask(0022);
    return 0;
}

static int step_descriptors(struct program *p, struct err *err)
{
    (void)p;
    if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return err_errno(err, "close_range");
    return 0;
}

static int step_signals(struct program *p, struct err *err)
{
    (void)p;
    /* by the bare call: libc does not let one touch the two signals (32 and 33) that it keeps for
     * itself, and a caller may have had them ignored. All zeroes is SIG_DFL, no flags, no mask. */
    static const unsigned long as_born[8];
    for (int sig = 1; sig < NSIG; sig++)
        if (sig != SIGKILL && sig != SIGSTOP &&
            syscall(SYS_rt_sigaction, sig, as_born, NULL, NSIG / 8) < 0)
            return err_errno(err, "give signal %d its default", sig);
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return err_errno(err, "unblock signals");
    return 0;
}

static int step_landlock(struct program *p, struct err *err)
{
    return landlock_apply(&p->order->spec, err);
}

static int step_filter(struct program *p, struct err *err)
{
    (void)p;
    return filter_load(&filter_user, err);
}

static const struct {
    const char *name;
    int (*run)(struct program *p, struct err *err);
} steps[] = {
    {"session", step_session},   {"stdio", step_stdio},
    {"limits", step_limits},     {"credentials", step_credentials},
    {"keyring", step_keyring},   {"working folder", step_folder},
    {"signals", step_signals},   {"descriptors", step_descriptors},
    {"landlock", step_landlock}, {"filter", step_filter}, /* last: it closes what the others used */
};

static void report(int fd, enum program_stage stage, int code, const char *msg)
{
    struct program_report r = {.stage = stage, .code = code};
    snprintf(r.msg, sizeof(r.msg), "%s", msg);
    (void)!write(fd, &r, sizeof(r));
}

_Noreturn void program_main(const struct launch_env *env, struct order *order, const int stdio[3],
                            int report_fd)
{
    struct program p = {.env = env, .order = order, .stdio = stdio, .report_fd = report_fd};
    steps_mark(&order->program, "fork");
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        struct err err = {0};
        int r = steps[i].run(&p, &err);
        if (r < 0) {
            (void)err_prefix(&err, -r, "%s", steps[i].name);
            report(report_fd, PROGRAM_SETUP_FAILED, err.code, err.msg);
            _exit(125);
        }
        steps_mark(&order->program, steps[i].name);
    }
    report(report_fd, PROGRAM_READY, 0, "");
    char *const *argv = order->spec.argv, *const *env_list = order->spec.env;
    execvpe(argv[0], argv, env_list);
    int code = errno;
    char line[300];
    int n =
        snprintf(line, sizeof(line), "vitrine: cannot run %.200s: %s\n", argv[0], strerror(code));
    (void)!write(STDERR_FILENO, line, (size_t)n);
    report(report_fd, PROGRAM_EXEC_FAILED, code, "");
    _exit(code == ENOENT ? 127 : 126);
}
