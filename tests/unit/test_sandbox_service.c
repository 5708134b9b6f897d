/* A compromised gateway: what is left to it once it has confined itself. Each attempt is made by a
 * child of its own, confined as the gateway is and holding canaries of this test.
 *
 * objects: sandbox/service.o sandbox/service_places.o sandbox/creds.o sandbox/filesystems.o
 * sandbox/filter.o sandbox/landlock_none.o */
#include "unit.h"

#include "sandbox/service.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static pid_t victim; /* a process of ours, to be killed or traced */

/* An attempt that comes back has failed or succeeded: true. Most do not come back. */
static bool by_open(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0;
}
static bool by_open_root(void)
{
    return syscall(SYS_open, "/", O_RDONLY | O_DIRECTORY) >= 0;
}
static bool by_proc(void)
{
    return openat(AT_FDCWD, "/proc/1/environ", O_RDONLY) >= 0;
}
static bool by_openat2(void)
{
    return syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0) >= 0;
}
static bool by_exec(void)
{
    char *argv[] = {(char *)"true", NULL};
    return execv("/bin/true", argv) == 0;
}
static bool by_fork(void)
{
    return syscall(SYS_fork) >= 0;
}
static bool by_clone3(void)
{
    return syscall(SYS_clone3, NULL, 0) >= 0;
}
static bool by_unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}
static bool by_tcp_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}
static bool by_netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}
static bool by_kill(void)
{
    return syscall(SYS_tkill, victim, SIGKILL) == 0;
}
static bool by_pidfd(void)
{
    return syscall(SYS_pidfd_open, victim, 0) >= 0;
}
static bool by_vm(void)
{
    return syscall(SYS_process_vm_writev, victim, NULL, 0, NULL, 0, 0) >= 0;
}
static bool by_userns(void)
{
    return unshare(CLONE_NEWUSER) == 0;
}
static bool by_mount(void)
{
    return mount("none", "/", "tmpfs", 0, NULL) == 0;
}
static bool by_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) != MAP_FAILED;
}
static bool by_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0) >= 0;
}
static bool by_uring(void)
{
    return syscall(SYS_io_uring_setup, 1, NULL) >= 0;
}
static bool by_keyring(void)
{
    return syscall(SYS_keyctl, 0, 0, 0, 0, 0) >= 0;
}
static bool by_dumpable(void)
{
    return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}
static bool by_limits(void)
{
    return syscall(SYS_prlimit64, 0, 0, NULL, NULL) == 0;
}
static bool by_tty(void)
{
    return syscall(SYS_ioctl, 2, 0x5412 /* TIOCSTI */, "x") == 0;
}
static bool by_tty_high(void)
{
    return syscall(SYS_ioctl, 2, 0x100005412UL, "x") == 0;
}
static bool by_i386(void)
{
    long r = 20; /* getpid there */
#ifdef __x86_64__
    __asm__ volatile("int $0x80" : "+a"(r) : : "memory");
#else
    raise(SIGSYS);
#endif
    return r > 0;
}
static bool by_ulp(void)
{
    return setsockopt(0, IPPROTO_TCP, 31 /* TCP_ULP */, "tls", 3) == 0;
}

static const struct attempt {
    const char *what;
    bool (*make)(void);
    bool wider; /* a build with sanitizers lets the call through, and its root refuses it */
} attempts[] = {
    {"open a file of the host", by_open, true},
    {"open /", by_open_root, true},
    {"read another's environment", by_proc, true},
    {"openat2", by_openat2, false},
    {"run a program", by_exec, false},
    {"fork", by_fork, false},
    {"clone3", by_clone3, false},
    {"a Unix socket", by_unix_socket, false},
    {"a TCP socket", by_tcp_socket, false},
    {"a netlink socket", by_netlink, false},
    {"kill a process", by_kill, false},
    {"a pidfd", by_pidfd, false},
    {"write another's memory", by_vm, false},
    {"a user namespace", by_userns, false},
    {"mount", by_mount, false},
    {"make memory a program", by_code, true},
    {"bpf", by_bpf, false},
    {"io_uring", by_uring, false},
    {"keyrings", by_keyring, false},
    {"become dumpable", by_dumpable, true},
    {"its own limits", by_limits, true},
    {"type into a terminal", by_tty, true},
    {"type into a terminal, high bits set", by_tty_high, true},
    {"another architecture's calls", by_i386, false},
    {"a protocol below TCP", by_ulp, true},
};

static int confine(struct err *err)
{
    struct service_plan plan = {.kind = SERVICE_GATEWAY};
    return service_confine(&plan, err);
}

static int status_of(const struct attempt *a)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        if (confine(&err) < 0) {
            dprintf(2, "%s\n", err.msg);
            _exit(2);
        }
        syscall(SYS_exit_group, a->make() ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_attempts_kill(void **state)
{
    (void)state;
    victim = fork();
    if (victim == 0)
        for (;;)
            pause();
    for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
        if (SANITIZED && attempts[i].wider)
            continue;
        int status = status_of(&attempts[i]);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: was not killed by the filter (status 0x%x)", attempts[i].what, status);
    }
    assert_int_equal(waitpid(victim, NULL, WNOHANG), 0); /* lives */
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
}

/* Descriptors are what it has: a socket that it was given connects where that socket's namespace
 * lets it, which for a demo's is the demo's loopback. */
static void test_descriptors_work(void **state)
{
    (void)state;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int given = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(to);
    assert_int_equal(bind(l, (struct sockaddr *)&to, len), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&to, &len), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        if (confine(&err) < 0)
            _exit(2);
        syscall(SYS_exit_group, connect(given, (struct sockaddr *)&to, len) < 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(given);
    close(l);
}

static bool line_is(const char *text, const char *key, const char *value)
{
    const char *at = strstr(text, key);
    return at && strncmp(at + strlen(key), value, strlen(value)) == 0;
}

/* As seen from outside. */
static void test_state(void **state)
{
    (void)state;
    int p[2], q[2];
    assert_int_equal(pipe(p), 0);
    assert_int_equal(pipe(q), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        char c = confine(&err) < 0;
        (void)!write(p[1], &c, 1);
        (void)!read(q[0], &c, 1);
        syscall(SYS_exit_group, 0);
    }
    char c = 1, path[64], text[4096] = "", ours[64], theirs[64];
    assert_int_equal(read(p[0], &c, 1), 1);
    assert_int_equal(c, 0);
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    static const char *const sets[] = {"CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t",
                                       "CapAmb:\t"};
    for (size_t i = 0; i < 5; i++)
        assert_true(line_is(text, sets[i], "0000000000000000"));
    assert_true(line_is(text, "NoNewPrivs:\t", "1"));
    assert_true(line_is(text, "Seccomp:\t", "2"));
    if (geteuid() == 0) {
        assert_false(line_is(text, "Uid:\t", "0\t"));
        static const char *const spaces[] = {"user", "mnt", "net", "ipc", "uts", "cgroup"};
        for (size_t i = 0; i < 6; i++) {
            snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, spaces[i]);
            ssize_t n = readlink(path, theirs, sizeof(theirs) - 1);
            assert_true(n > 0);
            theirs[n] = 0;
            snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i]);
            n = readlink(path, ours, sizeof(ours) - 1);
            assert_true(n > 0);
            ours[n] = 0;
            assert_string_not_equal(ours, theirs);
        }
        snprintf(path, sizeof(path), "/proc/%d/root/%s", (int)pid, SANITIZED ? "etc" : "proc");
        assert_int_equal(access(path, F_OK), -1);
    }
    assert_int_equal(write(q[1], &c, 1), 1);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < 2; i++) {
        close(p[i]);
        close(q[i]);
    }
}

static void test_try(void **state)
{
    (void)state;
    struct err err = {0};
    struct service_plan plan = {.kind = SERVICE_GATEWAY};
    assert_int_equal(service_try(&plan, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attempts_kill),
        cmocka_unit_test(test_descriptors_work),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
