/* See trace.h. */
#include "trace.h"

#include "sandbox/filter.h"

#include <errno.h>
#include <linux/close_range.h>
#include <linux/ptrace.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define X32_BIT 0x40000000 /* calls of x86-64 with 32-bit pointers */
#define X32_CALLS 1024
#define TASKS 4096 /* followed at a time; calls of more are not counted */

/* By the bare call: libc's ptrace.h and the kernel's do not go together. */
static long trace_ptrace(long request, pid_t tid, unsigned long addr, const void *data)
{
    return syscall(SYS_ptrace, request, tid, addr, data);
}

static long go_on(long request, pid_t tid, int sig)
{
    return syscall(SYS_ptrace, request, tid, 0UL, (unsigned long)sig);
}

/* A call under way: what was asked, until its answer is seen. */
struct task {
    pid_t tid; /* 0: free, -1: free again */
    bool inside, refused;
    int nr;
    uint64_t args[6];
};

struct tracer {
    struct trace *trace;
    uint32_t arch; /* AUDIT_ARCH_... of this machine */
    pid_t init;    /* 0: it has forked the program, and is left alone */
    bool running;  /* the program has begun: what came before were the sandbox's own steps */
    struct task tasks[TASKS];
};

static struct tracer the_tracer; /* of this process */

static struct task *task_of(struct tracer *t, pid_t tid)
{
    struct task *free_one = NULL;
    for (unsigned i = 0; i < TASKS; i++) {
        struct task *task = &t->tasks[((unsigned)tid + i) % TASKS];
        if (task->tid == tid)
            return task;
        if (task->tid <= 0 && !free_one)
            free_one = task;
        if (task->tid == 0)
            break;
    }
    if (free_one)
        *free_one = (struct task){.tid = tid};
    return free_one;
}

/* The place is marked (-1) until it is taken again, so that those behind it are still found. */
static void forget(struct tracer *t, pid_t tid)
{
    struct task *task = task_of(t, tid);
    if (task)
        *task = (struct task){.tid = -1};
}

static void note(struct tracer *t, pid_t tid, const struct task *task, uint32_t verdict, int error)
{
    char what[160];
    trace_describe(tid, task->nr, task->args, what);
    const struct trace_row *row = trace_count(t->trace, tid, task->nr, verdict, error, what);
    if (t->trace->follow && row && row->count == 1)
        trace_print_row(stderr, row);
}

static void on_entry(struct tracer *t, struct task *task, const struct ptrace_syscall_info *info)
{
    struct seccomp_data call = {.nr = (int)info->entry.nr,
                                .arch = info->arch,
                                .instruction_pointer = info->instruction_pointer};
    task->inside = true;
    bool foreign = info->arch != t->arch || (call.nr >= X32_BIT && call.nr < X32_BIT + X32_CALLS);
    task->nr = foreign ? TRACE_FOREIGN + call.nr % X32_BIT : call.nr;
    for (int i = 0; i < 6; i++)
        call.args[i] = task->args[i] = info->entry.args[i];
    uint32_t verdict = filter_verdict(t->trace->filter, &call);
    task->refused = verdict != SECCOMP_RET_ALLOW;
    t->trace->calls++;
    if (task->refused) /* now, since a call that kills has no answer */
        note(t, task->tid, task, verdict, 0);
}

/* Answers that a program meets because it is in a sandbox, or at a limit. */
static bool tells(int nr, int error)
{
    const char *name =
        nr >= 0 && nr < FILTER_CALLS && filter_calls[nr].name ? filter_calls[nr].name : "";
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSYS: /* of the kernel, or of a filter that the program itself has loaded */
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
        return true;
    case EAGAIN:
        return strcmp(name, "clone") == 0 || strcmp(name, "fork") == 0 ||
               strcmp(name, "vfork") == 0;
    default:
        return false;
    }
}

static void on_exit_of_call(struct tracer *t, struct task *task, int64_t result)
{
    if (!task->inside)
        return;
    task->inside = false;
    if (task->refused)
        return;
    int error = result < 0 && result >= -4095 ? (int)-result : 0;
    if (tells(task->nr, error))
        note(t, task->tid, task, SECCOMP_RET_ALLOW, error);
    else
        (void)trace_count(t->trace, task->tid, task->nr, SECCOMP_RET_ALLOW, 0, "");
}

/* As of the program that runs first: the filter's machine is this one. */
static uint32_t arch_of(pid_t tid)
{
    struct ptrace_syscall_info info = {0};
    return trace_ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) < 0 ? 0 : info.arch;
}

static void on_call(struct tracer *t, pid_t tid)
{
    struct ptrace_syscall_info info = {0};
    struct task *task = task_of(t, tid);
    if (!task)
        t->trace->lost++;
    if (!task || trace_ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) < 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        on_entry(t, task, &info);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        on_exit_of_call(t, task, info.exit.rval);
}

/* PID 1 before its fork: from then on the child is followed by itself, and PID 1 is let go. */
static void on_init(struct tracer *t, int status)
{
    pid_t init = t->init;
    int event = status >> 16, sig = WSTOPSIG(status);
    if (event == PTRACE_EVENT_FORK) {
        t->init = 0;
        go_on(PTRACE_DETACH, init, 0);
    } else {
        go_on(PTRACE_CONT, init, event ? 0 : sig);
    }
}

static void on_stop(struct tracer *t, pid_t tid, int status)
{
    int event = status >> 16, sig = WSTOPSIG(status);
    long request = t->running ? PTRACE_SYSCALL : PTRACE_CONT;
    if (event == PTRACE_EVENT_STOP && sig != SIGTRAP) { /* stopped by a signal: it stays so */
        go_on(PTRACE_LISTEN, tid, 0);
        return;
    }
    if (event == PTRACE_EVENT_EXEC) {
        if (!t->running)
            t->arch = arch_of(tid);
        t->running = true;
        request = PTRACE_SYSCALL;
    } else if (sig == (SIGTRAP | 0x80)) {
        on_call(t, tid);
    }
    bool is_signal = event == 0 && sig != (SIGTRAP | 0x80);
    go_on(request, tid, is_signal ? sig : 0);
}

static _Noreturn void follow_all(struct tracer *t)
{
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0) /* nobody is left */
            _exit(0);
        if (!WIFSTOPPED(status)) {
            forget(t, tid);
            if (tid == t->init)
                t->init = 0;
        } else if (tid == t->init) {
            on_init(t, status);
        } else {
            on_stop(t, tid, status);
        }
    }
}

static _Noreturn void tracer_main(struct trace *trace, pid_t init, int out, pid_t parent)
{
    struct tracer *t = &the_tracer;
    t->trace = trace;
    t->init = init;
    prctl(PR_SET_NAME, "vitrine-trace");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    /* EXITKILL: the program does not outlive the one who follows it */
    const unsigned long wanted = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                                 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (syscall(SYS_ptrace, PTRACE_SEIZE, init, 0UL, wanted) < 0) {
        (void)err_errno(&trace->err,
                        "follow the sandbox by ptrace (kernel.yama.ptrace_scope 3 or a "
                        "container's filter forbids it)");
        _exit(1);
    }
    dup2(out, STDERR_FILENO);
    syscall(SYS_close_range, 3, ~0U, 0); /* the ends of pipes that the caller waits for, too */
    raise(SIGSTOP);                      /* the caller goes on */
    follow_all(t);
}

struct trace *trace_new(bool follow, const struct filter_program *filter)
{
    struct trace *t =
        mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED)
        return NULL;
    t->follow = follow;
    t->filter = filter;
    return t;
}

int trace_start(struct trace *t, pid_t init, int out, pid_t *tracer, struct err *err)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return err_errno(err, "fork the tracer");
    if (pid == 0)
        tracer_main(t, init, out, parent);
    int status;
    if (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
        *tracer = pid;
        kill(pid, SIGCONT);
        return 0;
    }
    return t->err.code ? err_set(err, t->err.code, "%s", t->err.msg)
                       : err_set(err, EIO, "the tracer died");
}

void trace_wait(pid_t tracer)
{
    while (waitpid(tracer, NULL, 0) < 0 && errno == EINTR)
        ;
}
