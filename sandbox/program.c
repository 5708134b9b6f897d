/* See program.h. */
#include "program.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "sandbox/creds.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/limits.h"
#include "sandbox/pass_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct program {
    const struct launch_env *env;
    struct order *order;
    int sock;  /* to PID 1 */
    int rules; /* Landlock's, or -1 */
};

/* A session of its own: no controlling terminal, whatever its descriptors are. */
static int step_session(struct program *p, struct err *err)
{
    (void)p;
    return setsid() < 0 ? err_errno(err, "setsid") : 0;
}

/* What is the same for every program. */
static int step_fixed_limits(struct program *p, struct err *err)
{
    (void)p;
    return limits_apply_fixed(err);
}

static int step_rules(struct program *p, struct err *err)
{
    return landlock_prepare(&p->rules, err);
}

/* Waits: what comes is what becomes 0, 1 and 2. */
static int step_stdio(struct program *p, struct err *err)
{
    int fds[3], n = pass_fds_receive(p->sock, fds, 3, MSG_CMSG_CLOEXEC);
    if (n == -EPIPE)
        _exit(0);
    if (n != 3)
        return err_set(err, n < 0 ? -n : EPROTO, "receive the program's descriptors: %s",
                       n < 0 ? strerror(-n) : "not all came");
    steps_mark(&p->order->program, "wait");
    for (int i = 0; i < 3; i++)
        if (dup2(fds[i], i) < 0) /* all are above 2, which are open */
            return err_errno(err, "set descriptor %d", i);
    return 0;
}

/* PID 1 may have been kept off some processors since we were forked (cpu_class.h). */
static int step_processors(struct program *p, struct err *err)
{
    (void)p;
    cpu_set_t init, own;
    if (sched_getaffinity(1, sizeof(init), &init) < 0 ||
        sched_getaffinity(0, sizeof(own), &own) < 0 ||
        (!CPU_EQUAL(&init, &own) && sched_setaffinity(0, sizeof(init), &init) < 0))
        return err_errno(err, "run where the sandbox's PID 1 does");
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
    return landlock_apply(p->rules, &p->order->spec, err);
}

static int step_filter(struct program *p, struct err *err)
{
    bool devices = spec_has_devices(&p->order->spec);
    return filter_load(devices ? &filter_user_gpu : &filter_user, err);
}

static const struct {
    const char *name;
    int (*run)(struct program *p, struct err *err);
} steps[] = {
    {"session", step_session},
    {"signals", step_signals},
    {"fixed limits", step_fixed_limits},
    {"rules", step_rules},
    {"stdio", step_stdio}, /* everything above is done before anybody asks for a sandbox */
    {"processors", step_processors},
    {"limits", step_limits},
    {"credentials", step_credentials},
    {"keyring", step_keyring},
    {"working folder", step_folder},
    {"descriptors", step_descriptors},
    {"landlock", step_landlock},
    {"filter", step_filter}, /* last: it closes what the others used */
};

static void report(int fd, enum program_stage stage, int code, const char *msg)
{
    struct program_report r = {.stage = stage, .code = code};
    snprintf(r.msg, sizeof(r.msg), "%s", msg);
    (void)!write(fd, &r, sizeof(r));
}

_Noreturn void program_main(const struct launch_env *env, struct order *order, int sock)
{
    struct program p = {.env = env, .order = order, .sock = sock, .rules = -1};
    steps_mark(&order->program, "fork");
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        struct err err = {0};
        int r = steps[i].run(&p, &err);
        if (r < 0) {
            (void)err_prefix(&err, -r, "%s", steps[i].name);
            report(sock, PROGRAM_SETUP_FAILED, err.code, err.msg);
            _exit(125);
        }
        steps_mark(&order->program, steps[i].name);
    }
    report(sock, PROGRAM_READY, 0, "");
    char *const *argv = order->spec.argv;
    environ = (char **)(uintptr_t)order->spec.env; /* whose PATH is the one that counts, not ours */
    execvp(argv[0], argv);
    int code = errno;
    char line[300];
    int n =
        snprintf(line, sizeof(line), "vitrine: cannot run %.200s: %s\n", argv[0], strerror(code));
    (void)!write(STDERR_FILENO, line, (size_t)n);
    report(sock, PROGRAM_EXEC_FAILED, code, "");
    _exit(code == ENOENT ? 127 : 126);
}
