/* Resource bombs. Each is bounded in time and in count: it stops as soon as it has got more than
 * the limit that it was told (CANARY_MEMORY and the like), and that is its success. One that only
 * makes work returns false: whether it succeeded is seen from the neighbour's answers. */
#include "tests/attack/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1L << 20)
#define SECONDS bomb_seconds()

static void end_children(const pid_t *pids, long n)
{
    for (long i = 0; i < n; i++)
        kill(pids[i], SIGKILL);
    while (waitpid(-1, NULL, WNOHANG) > 0 || (n > 0 && wait(NULL) > 0))
        ;
}

static bool fork_bomb(const struct attempt *a)
{
    static pid_t pids[4096];
    long limit = canary_number("PIDS"), n = 0;
    for (double end = bomb_now() + SECONDS; bomb_now() < end && n <= limit && n < 4096;) {
        pid_t pid = fork();
        if (pid == 0) {
            for (;;)
                pause();
        }
        if (pid > 0)
            pids[n++] = pid;
        if (pid > 0 && a->n) /* dead, and never waited for */
            kill(pid, SIGKILL);
    }
    end_children(pids, n);
    return n > limit;
}

static void *sleep_on(void *arg)
{
    (void)arg;
    sleep(3);
    return NULL;
}

static bool thread_bomb(const struct attempt *a)
{
    (void)a;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    long limit = canary_number("PIDS"), n = 0;
    pthread_t t;
    for (double end = bomb_now() + SECONDS; bomb_now() < end && n <= limit;)
        n += pthread_create(&t, &attr, sleep_on, NULL) == 0;
    return n > limit;
}

/* ---- memory: by which way does it leave the limit? */

static bool take_anonymous(const struct attempt *a)
{
    long limit = canary_number("MEMORY"), got = 0;
    for (double end = bomb_now() + 4 * SECONDS; got <= limit && bomb_now() < end; got += 8 * MIB) {
        char *p = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, (int)a->n | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            break;
        memset(p, 1, 8 * MIB);
    }
    return got > limit;
}

static bool fill_fd(int fd, long limit)
{
    static char block[1 << 20];
    memset(block, 1, sizeof(block));
    long got = 0;
    for (double end = bomb_now() + 4 * SECONDS; fd >= 0 && got <= limit && bomb_now() < end;) {
        ssize_t n = write(fd, block, sizeof(block));
        if (n <= 0)
            break;
        got += n;
    }
    return got > limit;
}

static bool take_memfd(const struct attempt *a)
{
    (void)a;
    signal(SIGXFSZ, SIG_IGN);
    return fill_fd(memfd_create("bomb", MFD_CLOEXEC), canary_number("MEMORY"));
}

static bool take_sysv(const struct attempt *a)
{
    (void)a;
    long limit = canary_number("MEMORY"), got = 0;
    for (; got <= limit; got += 16 * MIB) {
        int id = shmget(IPC_PRIVATE, 16 * MIB, IPC_CREAT | 0600);
        void *p = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
        if (p == (void *)-1)
            break;
        shmctl(id, IPC_RMID, NULL);
        memset(p, 1, 16 * MIB);
    }
    return got > limit;
}

static bool take_sockets(const struct attempt *a)
{
    static char data[65536];
    long limit = canary_number("MEMORY"), got = 0;
    int fds[2], size = 1 << 22;
    for (double end = bomb_now() + 4 * SECONDS; got <= limit && bomb_now() < end;) {
        if (a->n ? pipe2(fds, O_NONBLOCK) < 0
                 : socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
            break;
        if (a->n)
            fcntl(fds[1], F_SETPIPE_SZ, MIB);
        else
            setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        for (ssize_t n; (n = write(fds[1], data, sizeof(data))) > 0;)
            got += n;
    }
    return got > limit;
}

/* One page in each 2 MiB: almost all of it is page tables. */
static bool take_page_tables(const struct attempt *a)
{
    (void)a;
    long limit = canary_number("MEMORY"), got = 0;
    for (double end = bomb_now() + 4 * SECONDS; got <= limit && bomb_now() < end;) {
        char *p =
            mmap(NULL, 1024 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            break;
        for (long i = 0; i < 1024 * MIB; i += 2 * MIB, got += 4096)
            (void)*(volatile char *)(p + i);
    }
    return got > limit;
}

/* Sixteen that hold a twelfth of the limit each, at the same time. */
/* Each has its share at the same time as the others: one that has ended made room for the next. */
static bool take_by_many(const struct attempt *a)
{
    (void)a;
    size_t share = (size_t)canary_number("MEMORY") / 12;
    pid_t pids[16];
    int has[16];
    for (int i = 0; i < 16; i++) {
        int p[2];
        if (pipe(p) < 0)
            return false;
        pids[i] = fork();
        if (pids[i] == 0) {
            char *m = mmap(NULL, share, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (m == MAP_FAILED)
                _exit(1);
            memset(m, 1, share);
            if (write(p[1], "m", 1) != 1)
                _exit(1);
            for (;;)
                pause();
        }
        close(p[1]);
        has[i] = p[0];
    }
    for (int i = 0; i < 16; i++) { /* a byte, or the end of the one that was to write it */
        char byte;
        while (read(has[i], &byte, 1) < 0 && errno == EINTR)
            ;
        close(has[i]);
    }
    long held = 0;
    for (int i = 0; i < 16; i++)
        held += pids[i] > 0 && waitpid(pids[i], NULL, WNOHANG) == 0;
    errno = ENOMEM;
    for (int i = 0; i < 16; i++)
        if (pids[i] > 0)
            kill(pids[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    return held > 12;
}

/* ---- files */

static bool fill_folder(const struct attempt *a)
{
    char path[4200];
    signal(SIGXFSZ, SIG_IGN);
    const char *folder = access(a->path, W_OK) == 0 ? a->path : scratch();
    snprintf(path, sizeof(path), "%s/fill", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool over = fill_fd(fd, canary_number(a->n ? "HOME_SIZE" : "TMP_SIZE"));
    unlink(path);
    return over;
}

static bool many_files(const struct attempt *a)
{
    char path[4200];
    const char *folder = access(a->path, W_OK) == 0 ? a->path : scratch();
    long limit = 150000, n = 0;
    for (double end = bomb_now() + 4 * SECONDS; n <= limit && bomb_now() < end; n++) {
        snprintf(path, sizeof(path), "%s/f%ld", folder, n);
        if (mknod(path, S_IFREG | 0600, 0) < 0 && !can_open(path, O_CREAT | O_WRONLY))
            break;
    }
    return n > limit;
}

static bool large_file(const struct attempt *a)
{
    char path[4200];
    signal(SIGXFSZ, SIG_IGN);
    snprintf(path, sizeof(path), "%s/large", scratch());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    long limit = canary_number("FILE_SIZE");
    bool over = fd >= 0 && (a->n ? fallocate(fd, 0, limit, MIB) : ftruncate(fd, limit + 1)) == 0;
    unlink(path);
    return over;
}

/* ---- counts */

static bool many_descriptors(const struct attempt *a)
{
    long limit = canary_number("OPEN_FILES"), n = 0;
    for (; n <= limit; n++) {
        int fd = a->n == SYS_eventfd2        ? eventfd(0, 0)
                 : a->n == SYS_epoll_create1 ? epoll_create1(0)
                 : a->n == SYS_inotify_init1 ? inotify_init1(0)
                                             : dup(0);
        if (fd < 0)
            break;
    }
    return n > limit;
}

static bool many_timers(const struct attempt *a)
{
    (void)a;
    long n = 0;
    timer_t t;
    struct sigevent none = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    while (n <= 8192 && timer_create(CLOCK_MONOTONIC, &none, &t) == 0)
        n++;
    return n > 8192;
}

static bool many_signals(const struct attempt *a)
{
    (void)a;
    long n = 0;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    while (n <= 8192 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0)
        n++;
    return n > 8192;
}

static bool many_queues(const struct attempt *a)
{
    (void)a;
    long bytes = 0;
    for (int i = 0; i < 64 && bytes <= 4 * MIB; i++) {
        char name[32];
        struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = 8192};
        snprintf(name, sizeof(name), "/bomb%d", i);
        if (mq_open(name, O_RDWR | O_CREAT, 0600, &attr) == (mqd_t)-1)
            break;
        mq_unlink(name);
        bytes += 10 * 8192;
    }
    return bytes > 4 * MIB;
}

static bool flood_log(const struct attempt *a)
{
    static char line[4096];
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    double end = bomb_now() + SECONDS;
    for (long sent = 0; sent < 64 * MIB && bomb_now() < end;) {
        ssize_t n = write((int)a->n, line, sizeof(line));
        if (n <= 0)
            break;
        sent += n;
    }
    return false;
}

static bool crash_often(const struct attempt *a)
{
    (void)a;
    for (double end = bomb_now() + SECONDS; bomb_now() < end;) {
        if (fork() == 0)
            abort();
        wait(NULL);
    }
    return false;
}

static const struct attempt list[] = {
    {"bomb-forks", fork_bomb, NULL, 0},
    {"bomb-zombies", fork_bomb, NULL, 1},
    {"bomb-threads", thread_bomb, NULL, 0},
    {"bomb-memory", take_anonymous, NULL, MAP_PRIVATE},
    {"bomb-memory-shared", take_anonymous, NULL, MAP_SHARED},
    {"bomb-memory-of-many", take_by_many, NULL, 0},
    {"bomb-memfd", take_memfd, NULL, 0},
    {"bomb-sysv-memory", take_sysv, NULL, 0},
    {"bomb-socket-buffers", take_sockets, NULL, 0},
    {"bomb-pipe-buffers", take_sockets, NULL, 1},
    {"bomb-page-tables", take_page_tables, NULL, 0},
    {"bomb-fill-tmp", fill_folder, "/tmp", 0},
    {"bomb-fill-shm", fill_folder, "/dev/shm", 0},
    {"bomb-fill-home", fill_folder, "/home/user", 1},
    {"bomb-inodes-tmp", many_files, "/tmp", 0},
    {"bomb-inodes-home", many_files, "/home/user", 0},
    {"bomb-large-file", large_file, NULL, 0},
    {"bomb-allocated-file", large_file, NULL, 1},
    {"bomb-descriptors", many_descriptors, NULL, 0},
    {"bomb-eventfds", many_descriptors, NULL, SYS_eventfd2},
    {"bomb-epolls", many_descriptors, NULL, SYS_epoll_create1},
    {"bomb-inotify", many_descriptors, NULL, SYS_inotify_init1},
    {"bomb-timers", many_timers, NULL, 0},
    {"bomb-queued-signals", many_signals, NULL, 0},
    {"bomb-message-queues", many_queues, NULL, 0},
    {"bomb-log", flood_log, NULL, 1},
    {"bomb-error-log", flood_log, NULL, 2},
    {"bomb-crashes", crash_often, NULL, 0},
};
const struct attempt_group bombs_group = {"bomb", list, sizeof(list) / sizeof(*list)};
