/* Reaching the platform and neighbours: processes, sockets, shared memory, networks. */
#include "tests/attack/attempt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <mqueue.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* The process that an attempt is about: one of the canaries', or PID 1. Where its number names
 * nobody in here, or ourselves, the attempt has failed. */
static pid_t target(const struct attempt *a)
{
    long pid = a->path ? canary_number(a->path) : 1;
    return pid <= 0 || pid == getpid() ? (pid_t)0x3ffffff : (pid_t)pid;
}

static bool signal_it(const struct attempt *a)
{
    return kill(target(a), (int)a->n) == 0;
}

static bool signal_thread(const struct attempt *a)
{
    return syscall(SYS_tgkill, target(a), target(a), (int)a->n) == 0;
}

static bool signal_by_pidfd(const struct attempt *a)
{
    int fd = (int)syscall(SYS_pidfd_open, target(a), 0);
    return fd >= 0 && syscall(SYS_pidfd_send_signal, fd, (int)a->n, NULL, 0) == 0;
}

static bool signal_all(const struct attempt *a)
{
    signal((int)a->n, SIG_IGN);
    kill(-1, (int)a->n); /* the suite sees from the victim whether it was hit */
    return false;
}

static bool trace_it(const struct attempt *a)
{
    return ptrace((enum __ptrace_request)a->n, target(a), NULL, NULL) == 0;
}

static bool read_memory(const struct attempt *a)
{
    char data[256] = "";
    long address = a->n ? canary_number("VICTIM_ADDRESS") : 0x400000;
    struct iovec to = {data, sizeof(data)}, from = {(void *)address, sizeof(data)};
    ssize_t n = process_vm_readv(target(a), &to, 1, &from, 1, 0);
    return a->n ? n > 0 && has_token(data, (size_t)n) : past_check(n) && errno != ESRCH;
}

static bool write_memory(const struct attempt *a)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)target(a));
    return can_open(path, O_RDWR);
}

static bool take_descriptor(const struct attempt *a)
{
    int fd = (int)syscall(SYS_pidfd_open, target(a), 0);
    return fd >= 0 && syscall(438 /* pidfd_getfd */, fd, (int)a->n, 0) >= 0;
}

static bool limit_it(const struct attempt *a)
{
    struct rlimit limit = {64, 64};
    return prlimit(target(a), RLIMIT_NOFILE, NULL, &limit) == 0 ||
           prlimit(target(a), RLIMIT_NOFILE, &limit, NULL) == 0;
}

static bool reprioritize(const struct attempt *a)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    return a->n ? sched_setaffinity(target(a), sizeof(one), &one) == 0
                : setpriority(PRIO_PROCESS, (id_t)target(a), 19) == 0;
}

static bool schedule_it(const struct attempt *a)
{
    struct sched_param p = {0};
    return a->n ? syscall(SYS_ioprio_set, 1, target(a), 3 << 13) == 0
                : sched_setscheduler(target(a), SCHED_IDLE, &p) == 0;
}

static bool move_memory(const struct attempt *a)
{
    unsigned long nodes = 1;
    return a->n ? past_check(syscall(SYS_migrate_pages, target(a), 64, &nodes, &nodes)) &&
                      errno != ESRCH
                : past_check(syscall(SYS_move_pages, target(a), 0, NULL, NULL, NULL, 0)) &&
                      errno != ESRCH;
}

/* ---- sockets: each canary answers a connection or a datagram with the token */

static bool token_from(int fd, const struct sockaddr *address, socklen_t len)
{
    struct timeval wait = {.tv_sec = 1};
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    bool found = connect(fd, address, len) == 0;
    if (found) /* one that has answered and gone does not take it */
        (void)send(fd, "?", 1, MSG_NOSIGNAL);
    found = found && fd_has_token(fd);
    close(fd);
    return found;
}

static bool connect_path(const struct attempt *a)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", canary_path(a->path));
    return token_from(socket(AF_UNIX, (int)a->n | SOCK_CLOEXEC, 0), (struct sockaddr *)&un,
                      sizeof(un));
}

static bool connect_abstract(const struct attempt *a)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", canary(a->path));
    return n > 0 &&
           token_from(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&un,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)n);
}

static int port_of(const struct attempt *a)
{
    return (int)canary_number(a->n & 1 ? "NEIGHBOUR_PORT" : "PORT");
}

static bool connect_v4(const struct attempt *a)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port_of(a))};
    const char *host = *a->path ? a->path : canary("ADDRESS");
    if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
        return false;
    return token_from(socket(AF_INET, (a->n & 2 ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0),
                      (struct sockaddr *)&in, sizeof(in));
}

static bool connect_v6(const struct attempt *a)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port_of(a))};
    if (inet_pton(AF_INET6, a->path, &in.sin6_addr) != 1)
        return false;
    return token_from(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&in,
                      sizeof(in));
}

static bool write_fifo(const struct attempt *a)
{
    int fd = open(canary_path(a->path), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && write(fd, "x", 1) == 1;
}

/* Its own network is not its own to configure either. */
static bool configure_link(const struct attempt *a)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq req = {.ifr_name = "lo", .ifr_flags = (short)a->n};
    return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &req) == 0;
}

static bool add_link(const struct attempt *a)
{
    (void)a;
    struct {
        struct nlmsghdr head;
        struct ifinfomsg link;
        struct rtattr info;
        struct rtattr kind;
        char name[8];
    } m = {.head = {.nlmsg_len = sizeof(m),
                    .nlmsg_type = RTM_NEWLINK,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK},
           .info = {sizeof(m.info) + sizeof(m.kind) + sizeof(m.name), 18 /* IFLA_LINKINFO */},
           .kind = {sizeof(m.kind) + 6, 1 /* IFLA_INFO_KIND */},
           .name = "dummy"};
    char answer[512];
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0 || send(fd, &m, sizeof(m), 0) < 0)
        return false;
    ssize_t n = recv(fd, answer, sizeof(answer), 0);
    struct nlmsgerr e;
    if (n < (ssize_t)(sizeof(struct nlmsghdr) + sizeof(e)))
        return false;
    memcpy(&e, answer + sizeof(struct nlmsghdr), sizeof(e));
    errno = -e.error;
    return e.error == 0;
}

static bool low_port(const struct attempt *a)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)a->n)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0;
}

/* ---- System V and POSIX objects of the host */

static bool attach_shm(const struct attempt *a)
{
    (void)a;
    int id = shmget((key_t)canary_number("SHM_KEY"), 0, 0);
    void *p = id < 0 ? (void *)-1 : shmat(id, NULL, SHM_RDONLY);
    return p != (void *)-1 && has_token(p, 256);
}

static bool change_semaphore(const struct attempt *a)
{
    (void)a;
    int id = semget((key_t)canary_number("SHM_KEY"), 0, 0);
    struct sembuf up = {.sem_op = 1};
    return id >= 0 && semop(id, &up, 1) == 0;
}

static bool read_queue(const struct attempt *a)
{
    (void)a;
    struct {
        long type;
        char text[256];
    } m;
    int id = msgget((key_t)canary_number("SHM_KEY"), 0);
    ssize_t n = id < 0 ? -1 : msgrcv(id, &m, sizeof(m.text), 0, IPC_NOWAIT | 040000 /* MSG_COPY */);
    return n > 0 && has_token(m.text, (size_t)n);
}

static bool read_posix_shm(const struct attempt *a)
{
    (void)a;
    int fd = shm_open(canary("POSIX_NAME"), O_RDONLY, 0);
    return fd >= 0 && fd_has_token(fd);
}

static bool read_posix_queue(const struct attempt *a)
{
    (void)a;
    return mq_open(canary("POSIX_NAME"), O_RDONLY | O_NONBLOCK) != (mqd_t)-1;
}

static const struct attempt list[] = {
    {"signal-victim", signal_it, "VICTIM_PID", SIGUSR1},
    {"kill-victim", signal_it, "VICTIM_PID", SIGKILL},
    {"stop-victim", signal_it, "VICTIM_PID", SIGSTOP},
    {"signal-neighbour", signal_it, "NEIGHBOUR_PID", SIGUSR1},
    {"signal-init", signal_it, NULL, 0},
    {"kill-init", signal_it, NULL, SIGKILL},
    {"thread-signal-init", signal_thread, NULL, SIGTERM},
    {"pidfd-signal-victim", signal_by_pidfd, "VICTIM_PID", SIGUSR1},
    {"pidfd-signal-init", signal_by_pidfd, NULL, SIGTERM},
    {"signal-everyone", signal_all, NULL, SIGUSR1},
    {"trace-victim", trace_it, "VICTIM_PID", PTRACE_SEIZE},
    {"trace-neighbour", trace_it, "NEIGHBOUR_PID", PTRACE_SEIZE},
    {"trace-init", trace_it, NULL, PTRACE_SEIZE},
    {"read-memory-of-victim", read_memory, "VICTIM_PID", 1},
    {"read-memory-of-init", read_memory, NULL, 0},
    {"write-memory-of-init", write_memory, NULL, 0},
    {"write-memory-of-victim", write_memory, "VICTIM_PID", 0},
    {"descriptor-of-init", take_descriptor, NULL, 0},
    {"descriptor-of-victim", take_descriptor, "VICTIM_PID", 0},
    {"limit-init", limit_it, NULL, 0},
    {"limit-victim", limit_it, "VICTIM_PID", 0},
    {"slow-init", reprioritize, NULL, 0},
    {"pin-init", reprioritize, NULL, 1},
    {"pin-victim", reprioritize, "VICTIM_PID", 1},
    {"idle-victim", schedule_it, "VICTIM_PID", 0},
    {"idle-init", schedule_it, NULL, 0},
    {"disk-priority-of-victim", schedule_it, "VICTIM_PID", 1},
    {"disk-priority-of-init", schedule_it, NULL, 1},
    {"move-pages-of-victim", move_memory, "VICTIM_PID", 0},
    {"migrate-pages-of-victim", move_memory, "VICTIM_PID", 1},
    {"host-unix-stream", connect_path, "stream.sock", SOCK_STREAM},
    {"host-unix-seqpacket", connect_path, "packet.sock", SOCK_SEQPACKET},
    {"platform-worker-socket", connect_path, "data/worker.sock", SOCK_STREAM},
    {"host-abstract", connect_abstract, "ABSTRACT", 0},
    {"neighbour-abstract", connect_abstract, "NEIGHBOUR_ABSTRACT", 0},
    {"host-loopback-v4", connect_v4, "127.0.0.1", 0},
    {"host-loopback-other", connect_v4, "127.9.9.9", 0},
    {"host-any-address", connect_v4, "0.0.0.0", 0},
    {"host-own-address", connect_v4, "", 0},
    {"host-loopback-udp", connect_v4, "127.0.0.1", 2},
    {"neighbour-loopback-v4", connect_v4, "127.0.0.1", 1},
    {"host-loopback-v6", connect_v6, "::1", 0},
    {"host-loopback-mapped", connect_v6, "::ffff:127.0.0.1", 0},
    {"neighbour-loopback-mapped", connect_v6, "::ffff:127.0.0.1", 1},
    {"host-fifo", write_fifo, "fifo", 0},
    {"loopback-down", configure_link, NULL, 0},
    {"loopback-promiscuous", configure_link, NULL, IFF_UP | IFF_PROMISC},
    {"add-network-link", add_link, NULL, 0},
    {"bind-port-80", low_port, NULL, 80},
    {"host-sysv-shm", attach_shm, NULL, 0},
    {"host-sysv-semaphore", change_semaphore, NULL, 0},
    {"host-sysv-queue", read_queue, NULL, 0},
    {"host-posix-shm", read_posix_shm, NULL, 0},
    {"host-posix-queue", read_posix_queue, NULL, 0},
};
const struct attempt_group peers_group = {"peers", list, sizeof(list) / sizeof(*list)};
