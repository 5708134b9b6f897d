/* Bombs that only make work, in eight processes each: whether they succeed is seen from the CPU
 * that they got, and from the neighbour's answers. Each is bounded in time. */
#include "tests/attack/attempt.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double bomb_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double bomb_seconds(void)
{
    return (double)canary_number("BOMB_MILLI") / 1000;
}

/* Children that each do `work` for the time; true if together they had more CPU than the limit. */
static bool spin(int processes, void (*work)(double end))
{
    pid_t pids[64];
    int n = 0;
    double start = bomb_now(), end = start + bomb_seconds();
    for (; n < processes; n++)
        if ((pids[n] = fork()) == 0) {
            work(end);
            _exit(0);
        } else if (pids[n] < 0) {
            break;
        }
    while (wait(NULL) > 0)
        ;
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    double used = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                  (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    /* a quota is by the tenth of a second: one more may have begun */
    return used > (1.25 * (bomb_now() - start) + 0.1) * (double)canary_number("CPU_MILLI") / 1000;
}

static void work_spin(double end)
{
    while (bomb_now() < end)
        for (volatile int i = 0; i < 100000; i++)
            ;
}

static void work_yield(double end)
{
    while (bomb_now() < end)
        for (int i = 0; i < 100; i++)
            sched_yield();
}

static void work_fork_exec(double end)
{
    while (bomb_now() < end) {
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        if (pid > 0)
            waitpid(pid, NULL, 0);
    }
}

static void work_cache(double end)
{
    size_t size = 64u << 20;
    char *p = malloc(size), *q = malloc(size);
    while (p && q && bomb_now() < end)
        memmove(p, q, size);
}

static void work_faults(double end)
{
    while (bomb_now() < end) {
        char *p =
            mmap(NULL, 4 * (1L << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (long i = 0; p != MAP_FAILED && i < 4 * (1L << 20); i += 4096)
            p[i] = 1;
        munmap(p, 4 * (1L << 20));
    }
}

static void work_sync(double end)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/sync", scratch());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    while (fd >= 0 && bomb_now() < end) {
        if (pwrite(fd, path, sizeof(path), 0) < 0)
            break;
        fsync(fd);
        syncfs(fd);
    }
}

static void work_names(double end)
{
    char path[4096];
    for (unsigned i = 0; bomb_now() < end; i++) {
        snprintf(path, sizeof(path), "%s/none-%d-%u", scratch(), (int)getpid(), i);
        (void)access(path, F_OK);
    }
}

static void work_random(double end)
{
    static char data[65536];
    while (bomb_now() < end)
        if (syscall(SYS_getrandom, data, sizeof(data), 0) < 0)
            break;
}

static void work_pipes(double end)
{
    static char data[65536];
    int fds[2];
    if (pipe(fds) < 0)
        return;
    while (bomb_now() < end)
        if (write(fds[1], data, sizeof(data)) < 0 || read(fds[0], data, sizeof(data)) < 0)
            break;
}

static void work_loopback(double end)
{
    int fds[2];
    char data[1024] = "";
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) < 0)
        return;
    while (bomb_now() < end)
        if (send(fds[0], data, sizeof(data), 0) < 0 || recv(fds[1], data, sizeof(data), 0) < 0)
            break;
}

static void work_signals(double end)
{
    signal(SIGUSR1, SIG_IGN);
    while (bomb_now() < end)
        kill(0, SIGUSR1);
}

static void work_tcp(double end)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(in);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&in, len) < 0 ||
        listen(listener, 64) < 0 || getsockname(listener, (struct sockaddr *)&in, &len) < 0)
        return;
    static char data[65536];
    while (bomb_now() < end) {
        int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other = -1;
        if (one >= 0 && connect(one, (struct sockaddr *)&in, len) == 0)
            other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        for (int i = 0; other >= 0 && i < 16; i++)
            if (send(one, data, sizeof(data), MSG_DONTWAIT) < 0 ||
                recv(other, data, sizeof(data), MSG_DONTWAIT) < 0)
                break;
        close(other);
        close(one);
    }
}

/* Two that wake each other as often as they can. */
static void work_switches(double end)
{
    int there[2], back[2];
    char c = 'x';
    if (pipe(there) < 0 || pipe(back) < 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        while (bomb_now() < end && read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
            ;
        _exit(0);
    }
    while (pid > 0 && bomb_now() < end)
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
            break;
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

static void work_futex(double end)
{
    static uint32_t word;
    struct timespec soon = {.tv_nsec = 1000};
    while (bomb_now() < end)
        for (int i = 0; i < 100; i++) {
            syscall(SYS_futex, &word, 128 /* FUTEX_WAIT, private */, 0, &soon, NULL, 0);
            syscall(SYS_futex, &word, 129 /* FUTEX_WAKE, private */, INT_MAX, NULL, NULL, 0);
        }
}

static void work_timers(double end)
{
    struct itimerspec often = {.it_value = {.tv_nsec = 1000}, .it_interval = {.tv_nsec = 1000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    timer_t t;
    signal(SIGUSR1, SIG_IGN);
    for (int i = 0; i < 64; i++)
        if (timer_create(CLOCK_MONOTONIC, &event, &t) == 0)
            timer_settime(t, 0, &often, NULL);
    while (bomb_now() < end)
        usleep(1);
}

static void work_madvise(double end)
{
    long size = 16 << 20;
    char *p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (p != MAP_FAILED && bomb_now() < end) {
        for (long i = 0; i < size; i += 4096)
            p[i] = 1;
        madvise(p, (size_t)size, MADV_DONTNEED);
    }
}

static void work_mappings(double end)
{
    while (bomb_now() < end) {
        char *p = mmap(NULL, 8u << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int i = 0; p != MAP_FAILED && i < 8 << 20; i += 8192)
            mprotect(p + i, 4096, PROT_READ | PROT_WRITE);
        munmap(p, 8u << 20);
    }
}

static void work_folders(double end)
{
    char from[4096], to[4096];
    snprintf(from, sizeof(from), "%s/a-%d", scratch(), (int)getpid());
    snprintf(to, sizeof(to), "%s/b-%d", scratch(), (int)getpid());
    while (bomb_now() < end)
        if (mkdir(from, 0700) < 0 || rename(from, to) < 0 || rmdir(to) < 0)
            break;
}

static void work_epoll(double end)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    int ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    while (ep >= 0 && ev >= 0 && bomb_now() < end) {
        epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e);
        if (eventfd_write(ev, 1) < 0)
            break;
        epoll_wait(ep, &e, 1, 0);
        epoll_ctl(ep, EPOLL_CTL_DEL, ev, NULL);
    }
}

static void work_sparse(double end)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/sparse-%d", scratch(), (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (off_t at = 0; fd >= 0 && bomb_now() < end; at = (at + (1 << 20)) % (256L << 20))
        if (pwrite(fd, "x", 1, at) != 1 || (at == 0 && ftruncate(fd, 0) < 0))
            break;
    unlink(path);
}

static void (*const works[])(double) = {
    work_spin,   work_yield,   work_fork_exec, work_cache,   work_faults, work_sync,     work_names,
    work_random, work_pipes,   work_loopback,  work_signals, work_tcp,    work_switches, work_futex,
    work_timers, work_madvise, work_mappings,  work_folders, work_epoll,  work_sparse};
enum {
    SPIN,
    YIELD,
    FORK_EXEC,
    CACHE,
    FAULTS,
    SYNC,
    NAMES,
    RANDOM,
    PIPES,
    LOOPBACK,
    SIGNALS,
    TCP,
    SWITCHES,
    FUTEX,
    TIMERS,
    MADVISE,
    MAPPINGS,
    FOLDERS,
    EPOLL,
    SPARSE
};

static bool cpu_bomb(const struct attempt *a)
{
    return spin(8, works[a->n]);
}

static const struct attempt list[] = {
    {"bomb-spin", cpu_bomb, NULL, SPIN},
    {"bomb-yield", cpu_bomb, NULL, YIELD},
    {"bomb-fork-exec", cpu_bomb, NULL, FORK_EXEC},
    {"bomb-cache", cpu_bomb, NULL, CACHE},
    {"bomb-page-faults", cpu_bomb, NULL, FAULTS},
    {"bomb-sync", cpu_bomb, NULL, SYNC},
    {"bomb-missing-names", cpu_bomb, NULL, NAMES},
    {"bomb-random", cpu_bomb, NULL, RANDOM},
    {"bomb-pipe-traffic", cpu_bomb, NULL, PIPES},
    {"bomb-socket-traffic", cpu_bomb, NULL, LOOPBACK},
    {"bomb-signal-storm", cpu_bomb, NULL, SIGNALS},
    {"bomb-tcp-traffic", cpu_bomb, NULL, TCP},
    {"bomb-context-switches", cpu_bomb, NULL, SWITCHES},
    {"bomb-futex-storm", cpu_bomb, NULL, FUTEX},
    {"bomb-timer-storm", cpu_bomb, NULL, TIMERS},
    {"bomb-madvise-storm", cpu_bomb, NULL, MADVISE},
    {"bomb-mapping-storm", cpu_bomb, NULL, MAPPINGS},
    {"bomb-folder-storm", cpu_bomb, NULL, FOLDERS},
    {"bomb-epoll-storm", cpu_bomb, NULL, EPOLL},
    {"bomb-sparse-file-storm", cpu_bomb, NULL, SPARSE},
};
const struct attempt_group storms_group = {"bomb", list, sizeof(list) / sizeof(*list)};
