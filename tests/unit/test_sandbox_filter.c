/* objects: sandbox/filter/rules.o sandbox/filter/rules_shared.o sandbox/filter/compact.o
 * sandbox/filter_verdict.o; libs: -lseccomp
 *
 * The verdict of every group of the filters, for the calls of x86-64 and of arm64. */
#include "unit.h"

#include "sandbox/filter.h"
#include "sandbox/filter/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define ALLOW SECCOMP_RET_ALLOW
#define KILL SECCOMP_RET_KILL_PROCESS
#define FAILS(code) (SECCOMP_RET_ERRNO | (code))
#define HIGH (1ull << 32) /* the kernel does not look there */

static const struct {
    const char *name;
    uint64_t args[4];
    uint32_t verdict;
} table[] = {
    /* one of each group that is let through, refused, absent */
    {"read", {0}, ALLOW},
    {"openat", {0}, ALLOW},
    {"openat2", {0}, ALLOW},
    {"statx", {0}, ALLOW},
    {"faccessat2", {0}, ALLOW},
    {"getxattr", {0}, ALLOW},
    {"inotify_init1", {0}, ALLOW},
    {"mmap", {0, 4096, 7}, ALLOW},
    {"mprotect", {0, 4096, 5}, ALLOW},
    {"futex", {0}, ALLOW},
    {"futex_waitv", {0}, ALLOW},
    {"rseq", {0}, ALLOW},
    {"rt_sigaction", {0}, ALLOW},
    {"getuid", {0}, ALLOW},
    {"prlimit64", {0}, ALLOW},
    {"sched_setscheduler", {0}, ALLOW},
    {"clock_gettime", {0}, ALLOW},
    {"epoll_pwait", {0}, ALLOW},
    {"sendmsg", {0}, ALLOW},
    {"shmget", {0}, ALLOW},
    {"getrandom", {0}, ALLOW},
    {"landlock_restrict_self", {0}, ALLOW},
    {"ioprio_set", {0}, FAILS(EPERM)},
    {"sched_setaffinity", {0}, FAILS(EPERM)},
    {"unshare", {0}, FAILS(EPERM)},
    {"setns", {0}, FAILS(EPERM)},
    {"mount", {0}, FAILS(EPERM)},
    {"open_tree", {0}, FAILS(EPERM)},
    {"ptrace", {0}, FAILS(EPERM)},
    {"process_vm_readv", {0}, FAILS(EPERM)},
    {"kcmp", {0}, FAILS(EPERM)},
    {"pidfd_getfd", {0}, FAILS(EPERM)},
    {"bpf", {0}, FAILS(EPERM)},
    {"add_key", {0}, FAILS(EPERM)},
    {"open_by_handle_at", {0}, FAILS(EPERM)},
    {"reboot", {0}, FAILS(EPERM)},
    {"memfd_secret", {0}, FAILS(EPERM)},
    {"inotify_add_watch", {0}, FAILS(ENOSPC)},
    {"clone3", {0}, FAILS(ENOSYS)},
    {"io_uring_setup", {0}, FAILS(ENOSYS)},
    {"mq_open", {0}, FAILS(ENOSYS)},
    {"vmsplice", {0}, FAILS(ENOSYS)},
    {"mbind", {0}, FAILS(ENOSYS)},
    {"process_mrelease", {0}, FAILS(ENOSYS)},
    /* by arguments */
    {"clone", {SIGCHLD}, ALLOW},
    {"clone", {CLONE_VM | CLONE_THREAD | CLONE_SIGHAND}, ALLOW},
    {"clone", {CLONE_NEWUSER | SIGCHLD}, FAILS(ENOSYS)},
    {"clone", {CLONE_NEWNET}, FAILS(ENOSYS)},
    {"clone", {CLONE_NEWNS}, FAILS(ENOSYS)},
    {"clone", {CLONE_NEWPID}, FAILS(ENOSYS)},
    {"clone", {CLONE_NEWCGROUP}, FAILS(ENOSYS)},
    {"ioctl", {0, FIONBIO}, ALLOW},
    {"ioctl", {0, TIOCGWINSZ}, ALLOW},
    {"ioctl", {0, TIOCSTI}, FAILS(ENOSYS)},
    {"ioctl", {0, TIOCSTI | HIGH}, FAILS(ENOSYS)},
    {"ioctl", {0, TIOCLINUX}, FAILS(ENOSYS)},
    {"ioctl", {0, TIOCLINUX | HIGH}, FAILS(ENOSYS)},
    {"ioctl", {0, TIOCSETD}, FAILS(ENOSYS)},
    {"socket", {AF_UNIX, SOCK_STREAM}, ALLOW},
    {"socket", {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC}, ALLOW},
    {"socket", {AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 6}, ALLOW},
    {"socket", {AF_INET6, SOCK_DGRAM, 17}, ALLOW},
    {"socket", {AF_INET, SOCK_RAW, 1}, FAILS(ENOSYS)},
    {"socket", {AF_INET, SOCK_DGRAM, 1}, FAILS(ENOSYS)},
    {"socket", {AF_INET, SOCK_STREAM, 132}, FAILS(ENOSYS)},
    {"socket", {AF_INET, SOCK_STREAM, 262}, FAILS(ENOSYS)},
    {"socket", {AF_INET6, SOCK_RAW, 58}, FAILS(ENOSYS)},
    {"socket", {AF_NETLINK, SOCK_RAW, 0}, ALLOW},
    {"socket", {AF_NETLINK, SOCK_RAW, 12}, FAILS(ENOSYS)},
    {"socket", {AF_PACKET, SOCK_RAW, 3}, FAILS(ENOSYS)},
    {"socket", {AF_ALG, SOCK_SEQPACKET}, FAILS(ENOSYS)},
    {"socket", {AF_VSOCK, SOCK_STREAM}, FAILS(ENOSYS)},
    {"socket", {AF_ALG | HIGH, SOCK_SEQPACKET}, FAILS(ENOSYS)},
    {"socketpair", {AF_UNIX, SOCK_STREAM}, ALLOW},
    {"socketpair", {AF_TIPC, SOCK_STREAM}, FAILS(ENOSYS)},
    {"setsockopt", {0, 6, 1}, ALLOW},
    {"setsockopt", {0, 6, 31}, FAILS(ENOSYS)},
    {"setsockopt", {0, 6 | HIGH, 31 | HIGH}, FAILS(ENOSYS)},
    {"prctl", {15}, ALLOW},
    {"prctl", {35}, FAILS(ENOSYS)},
    {"personality", {0xffffffff}, ALLOW},
    {"personality", {0x0040000}, FAILS(ENOSYS)},
    {"fcntl", {0, F_ADD_SEALS}, ALLOW},
    {"fcntl", {0, F_NOTIFY}, FAILS(ENOSYS)},
    {"fcntl", {0, F_SETLEASE}, FAILS(ENOSYS)},
    {"mknodat", {0, 0, S_IFIFO | 0600}, ALLOW},
    {"mknodat", {0, 0, S_IFCHR | 0600}, FAILS(EPERM)},
    {"mknodat", {0, 0, S_IFBLK | 0600}, FAILS(EPERM)},
    /* what is the host's and counted for nobody */
    {"setrlimit", {RLIMIT_NOFILE, 1}, ALLOW},
    {"setrlimit", {RLIMIT_CORE, 1}, FAILS(0)},
    {"setrlimit", {RLIMIT_CORE | HIGH, 1}, FAILS(0)},
    {"prlimit64", {0, RLIMIT_STACK, 1}, ALLOW},
    {"prlimit64", {0, RLIMIT_CORE, 0}, ALLOW},
    {"prlimit64", {0, RLIMIT_CORE, 1}, FAILS(0)},
    {"prlimit64", {0, RLIMIT_CORE, HIGH}, FAILS(0)},
    {"prlimit64", {0, RLIMIT_CORE | HIGH, 1}, FAILS(0)},
    {"mmap", {0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB}, FAILS(ENOMEM)},
    {"memfd_create", {0, 3}, ALLOW},
    {"memfd_create", {0, 4}, FAILS(ENOSYS)},
    {"madvise", {0, 4096, MADV_DONTNEED}, ALLOW},
    {"madvise", {0, 4096, 12}, FAILS(EINVAL)},
    {"madvise", {0, 4096, 12 | HIGH}, FAILS(EINVAL)},
    {"fadvise64", {0, 0, 0, POSIX_FADV_SEQUENTIAL}, ALLOW},
    {"fadvise64", {0, 0, 0, POSIX_FADV_DONTNEED}, FAILS(0)},
    {"fadvise64", {0, 0, 0, POSIX_FADV_DONTNEED | HIGH}, FAILS(0)},
    {"setsockopt", {0, SOL_SOCKET, SO_REUSEADDR}, ALLOW},
    {"setsockopt", {0, SOL_SOCKET, SO_ATTACH_FILTER}, FAILS(ENOSYS)},
    {"setsockopt", {0, SOL_SOCKET | HIGH, SO_ATTACH_FILTER | HIGH}, FAILS(ENOSYS)},
    {"setsockopt", {0, 17, 100}, FAILS(ENOSYS)},
    {"setsockopt", {0, 0, 1}, ALLOW},
};

static struct sock_filter code[BPF_MAXINSNS + 1];

static struct filter_program make(enum rules_for who, uint32_t arch)
{
    struct err err = {0};
    int n = rules_make(who, arch, code, BPF_MAXINSNS + 1, &err);
    if (n < 0)
        fail_msg("%s", err.msg);
    return (struct filter_program){code, (unsigned short)n};
}

static void verdicts_of(uint32_t arch)
{
    struct filter_program p = make(RULES_USER, arch);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct seccomp_data call = {.nr = rules_call_number(arch, table[i].name), .arch = arch};
        assert_true(call.nr >= 0);
        memcpy(call.args, table[i].args, sizeof(table[i].args));
        uint32_t v = filter_verdict(&p, &call);
        if (v != table[i].verdict)
            fail_msg("%s(%#llx, %#llx, %#llx): %#x, not %#x", table[i].name,
                     (unsigned long long)call.args[0], (unsigned long long)call.args[1],
                     (unsigned long long)call.args[2], v, table[i].verdict);
    }
    /* what no list has, as calls of kernels to come */
    struct seccomp_data later = {.nr = 500, .arch = arch};
    assert_int_equal(filter_verdict(&p, &later), FAILS(ENOSYS));
}

static void verdicts_x86_64(void **state)
{
    (void)state;
    verdicts_of(AUDIT_ARCH_X86_64);
}

static void verdicts_aarch64(void **state)
{
    (void)state;
    verdicts_of(AUDIT_ARCH_AARCH64);
}

static void foreign_tables_kill(void **state)
{
    (void)state;
    struct filter_program p = make(RULES_USER, AUDIT_ARCH_X86_64);
    struct seccomp_data i386 = {.nr = 20, .arch = AUDIT_ARCH_I386};
    struct seccomp_data x32 = {.nr = 0x40000000 + 39, .arch = AUDIT_ARCH_X86_64};
    assert_int_equal(filter_verdict(&p, &i386), KILL);
    assert_int_equal(filter_verdict(&p, &x32), KILL);
    p = make(RULES_USER, AUDIT_ARCH_AARCH64);
    struct seccomp_data arm = {.nr = 20, .arch = AUDIT_ARCH_ARM};
    assert_int_equal(filter_verdict(&p, &arm), KILL);
}

/* PID 1 has its loop, and opens no door beside. */
static void init_has_its_loop_alone(void **state)
{
    (void)state;
    static const uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64};
    for (int i = 0; i < 2; i++) {
        struct filter_program p = make(RULES_INIT, archs[i]);
        static const char *const never[] = {"execve", "clone",    "ptrace",  "connect",
                                            "mount",  "unlinkat", "mprotect"};
        struct seccomp_data call = {.nr = rules_call_number(archs[i], "recvmsg"), .arch = archs[i]};
        assert_int_equal(filter_verdict(&p, &call), ALLOW);
        for (size_t k = 0; k < sizeof(never) / sizeof(*never); k++) {
            call.nr = rules_call_number(archs[i], never[k]);
            assert_int_equal(filter_verdict(&p, &call), KILL);
        }
    }
}

/* webui makes threads, and no process; its memory holds data. */
static void webui_has_threads_alone(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t args[3];
        uint32_t verdict;
    } calls[] = {
        {"clone", {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD}, ALLOW},
        {"clone", {SIGCHLD}, KILL},
        {"clone", {CLONE_VM | CLONE_VFORK | SIGCHLD}, KILL},
        {"clone", {CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWUSER}, KILL},
        {"clone", {CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_PIDFD}, KILL},
        {"clone3", {0}, FAILS(ENOSYS)},
        {"mmap", {0, 4096, 3}, ALLOW},
        {"mmap", {0, 4096, 4}, KILL},
        {"mprotect", {0, 4096, 5 | HIGH}, KILL},
        {"fcntl", {0, F_SETLK}, ALLOW},
        {"fcntl", {0, F_SETLKW}, KILL},
        {"fcntl", {0, F_DUPFD}, KILL},
        {"openat", {0}, ALLOW},
        {"prctl", {15}, ALLOW},
        {"prctl", {4}, KILL},
        {"socket", {AF_UNIX, SOCK_STREAM}, KILL},
        {"execve", {0}, KILL},
        {"unlinkat", {0}, KILL},
        {"dup3", {0}, KILL},
    };
    static const uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64};
    for (int i = 0; i < 2; i++) {
        struct filter_program p = make(RULES_WEBUI, archs[i]);
        for (size_t k = 0; k < sizeof(calls) / sizeof(*calls); k++) {
            struct seccomp_data call = {.nr = rules_call_number(archs[i], calls[k].name),
                                        .arch = archs[i]};
            memcpy(call.args, calls[k].args, sizeof(calls[k].args));
            if (filter_verdict(&p, &call) != calls[k].verdict)
                fail_msg("%s(%#llx, ...): %#x", calls[k].name, (unsigned long long)call.args[0],
                         filter_verdict(&p, &call));
        }
    }
}

/* What a program with devices may ask besides: the letters of GPUs' drivers, and NVIDIA's bare
 * numbers; nothing of terminals, and no call more. */
static void gpus_have_their_requests(void **state)
{
    (void)state;
    static const struct {
        uint64_t request;
        bool with_gpu;
    } requests[] = {
        {_IOWR('F', 200 + 10, char[32]), true},
        {_IOWR('F', 43, char[64]) | HIGH, true},
        {_IOR('K', 1, char[8]), true},
        {_IOWR('d', 0x45, char[16]), true},
        {0x30000001, true},
        {0x30000002, true},
        {75, true},
        {TIOCSTI, false},
        {TIOCSTI | HIGH, false},
        {TIOCLINUX, false},
        {TIOCSETD, false},
        {_IOW('f', 2, long), false},
        {0x30000003, false},
        {_IOWR('V', 0, char[16]), false},
    };
    static const uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64};
    for (int i = 0; i < 2; i++) {
        struct filter_program without = make(RULES_USER, archs[i]);
        struct sock_filter *kept = calloc(without.len, sizeof(*kept));
        assert_non_null(kept);
        memcpy(kept, without.code, without.len * sizeof(*kept));
        without.code = kept;
        struct filter_program with = make(RULES_USER_GPU, archs[i]);
        struct seccomp_data call = {.nr = rules_call_number(archs[i], "ioctl"), .arch = archs[i]};
        for (size_t k = 0; k < sizeof(requests) / sizeof(*requests); k++) {
            call.args[1] = requests[k].request;
            assert_int_equal(filter_verdict(&without, &call), FAILS(ENOSYS));
            assert_int_equal(filter_verdict(&with, &call),
                             requests[k].with_gpu ? ALLOW : FAILS(ENOSYS));
        }
        call.args[1] = FIONBIO;
        assert_int_equal(filter_verdict(&with, &call), ALLOW);
        for (int nr = 0; nr < FILTER_CALLS; nr++) { /* else they say the same */
            call = (struct seccomp_data){.nr = nr, .arch = archs[i]};
            if (nr != rules_call_number(archs[i], "ioctl"))
                assert_int_equal(filter_verdict(&with, &call), filter_verdict(&without, &call));
        }
        free(kept);
    }
}

/* Load time and the cost of each call follow from these. */
static void filters_stay_small(void **state)
{
    (void)state;
    assert_in_range(make(RULES_USER, AUDIT_ARCH_X86_64).len, 1, 250);
    assert_in_range(make(RULES_USER, AUDIT_ARCH_AARCH64).len, 1, 250);
    assert_in_range(make(RULES_USER_GPU, AUDIT_ARCH_X86_64).len, 1, 270);
    assert_in_range(make(RULES_INIT, AUDIT_ARCH_X86_64).len, 1, 60);
}

static void refused_calls_have_reasons(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(rules_check(&err), 0);
    assert_non_null(rules_reason("add_key"));
    assert_non_null(rules_reason("clone3"));
    assert_null(rules_reason("read"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_x86_64),         cmocka_unit_test(verdicts_aarch64),
        cmocka_unit_test(foreign_tables_kill),     cmocka_unit_test(init_has_its_loop_alone),
        cmocka_unit_test(webui_has_threads_alone), cmocka_unit_test(gpus_have_their_requests),
        cmocka_unit_test(filters_stay_small),      cmocka_unit_test(refused_calls_have_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
