/* See net_relay.h. The starter's side. */
#include "net_relay.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "sandbox/pass_fds.h"
#include "sandbox/sys.h"
#include "sandbox/mount_api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define MEMORY_BYTES (96u << 20) /* 8 MiB at rest, and buffers of its connections */
#define CPU_MILLI 500
#define PIDS 4 /* it forks once, to enter the namespace */
#define FILES_MORE 64
#define FILES_DEFAULT 4096
#define END_WAIT_MS 2000

/* The socket twice: slirp4netns closes the one on which it says that it is ready. */
enum { READY_AT = 3, EXIT_AT, USERNS_AT, NETNS_AT, FIRST_FREE };

const char *net_relay_program(void)
{
    static const char *const places[] = {"/usr/bin/slirp4netns", "/usr/local/bin/slirp4netns"};
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

/* ---- the process itself, up to its exec */

struct relay_child {
    int sock;
    const int *join;
    int n_join;
    uint32_t connections;
};

static _Noreturn void give_up(int sock, const char *what)
{
    char text[160];
    int n = snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
    (void)send(sock, text, (size_t)n, MSG_NOSIGNAL);
    _exit(1);
}

/* Its messages go to the sandbox's PID 1, which keeps the last one. */
static void place_descriptors(struct relay_child *c)
{
    int sock = fcntl(c->sock, F_DUPFD, FIRST_FREE);
    int null = open("/dev/null", O_RDWR);
    if (sock < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(sock, 2) < 0 ||
        dup2(sock, READY_AT) < 0 || dup2(sock, EXIT_AT) < 0)
        give_up(c->sock, "place descriptors");
    c->sock = READY_AT;
    if (syscall(SYS_close_range, USERNS_AT, ~0U, 0) < 0)
        give_up(c->sock, "close_range");
}

/* slirp4netns shows itself the host's /etc and /run: so that they hold nothing but the resolver's
 * address, they are covered before. */
static void cover_folders(const struct relay_child *c)
{
    char resolv[4096];
    ssize_t n = file_read_small("/etc/resolv.conf", resolv, sizeof(resolv));
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/etc", "tmpfs", flags, "size=64k,mode=0755") < 0 ||
        mount("tmpfs", "/run", "tmpfs", flags, "size=4k,mode=0755") < 0)
        give_up(c->sock, "cover /etc and /run");
    int fd = open("/etc/resolv.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0 || (n > 0 && write_all(fd, resolv, (size_t)n) < 0))
        give_up(c->sock, "write the resolver's address");
    close(fd);
}

/* Beside slirp4netns's own filter: it has no business with the host's Unix sockets (those without a
 * path are there whatever its root is), devices or keys, though its uid owns them. */
static void forbid(const struct relay_child *c)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || filter_load(&net_relay_filter, NULL) < 0)
        give_up(c->sock, "load its filter");
}

/* What slirp4netns needs until it has shut itself in: entering namespaces and mounting (SYS_ADMIN),
 * and emptying the bounding set (SETPCAP); it wants to keep NET_BIND_SERVICE. It insists on being
 * user 0 to do so. */
static void confine(const struct relay_child *c)
{
    const uint32_t caps = 1u << CAP_SYS_ADMIN | 1u << CAP_SETPCAP | 1u << CAP_NET_BIND_SERVICE;
    cover_folders(c);
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        give_up(c->sock, "empty the group list");
    for (unsigned cap = 0; cap < 64; cap++)
        if ((cap >= 32 || !(caps & 1u << cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 &&
            errno != EINVAL)
            give_up(c->sock, "drop capabilities");
    rlim_t files = (c->connections ? c->connections : FILES_DEFAULT) + FILES_MORE;
    struct rlimit nofile = {files, files}, core = {1, 1};
    if (setrlimit(RLIMIT_NOFILE, &nofile) < 0 || setrlimit(RLIMIT_CORE, &core) < 0)
        give_up(c->sock, "set limits");
    forbid(c);
}

/* Where the host has no way out by IPv6 itself, programs should not believe that they have one. */
static bool has_ipv6(void)
{
    struct sockaddr_in6 public = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
    public.sin6_addr.s6_addr[0] = 0x20;
    public.sin6_addr.s6_addr[15] = 1;
    _cleanup_close_ int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&public, sizeof(public)) == 0;
}

static _Noreturn void relay_main(struct relay_child *c)
{
    for (int i = 0; i < c->n_join; i++)
        if (write(c->join[i], "0", 1) < 0)
            give_up(c->sock, "join a control group");
    sigset_t none;
    sigemptyset(&none);
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    place_descriptors(c);
    int fds[2];
    /* the namespaces of the sandbox, which hands them over once its rules are in place */
    if (pass_fds_receive(c->sock, fds, 2, 0) != 2)
        _exit(0);
    /* they arrive in order at the lowest numbers that are free */
    if (fds[0] != USERNS_AT || fds[1] != NETNS_AT)
        give_up(c->sock, "place namespaces");
    const char *program = net_relay_program();
    if (!program) {
        errno = ENOENT;
        give_up(c->sock, "slirp4netns");
    }
    confine(c);
    char *ipv6 = has_ipv6() ? "--enable-ipv6" : NULL;
    static char cidr[] = "--cidr=" NET_CIDR;
    char *argv[] = {"slirp4netns",
                    "--configure",
                    "--mtu=1500",
                    "--disable-host-loopback",
                    "--enable-sandbox",
                    "--enable-seccomp",
                    cidr,
                    "--ready-fd=3",
                    "--exit-fd=4",
                    "--userns-path=/proc/self/fd/5",
                    "--netns-type=path",
                    "/proc/self/fd/6",
                    NET_TAP,
                    ipv6,
                    NULL};
    char *env[] = {NULL};
    execve(program, argv, env);
    give_up(c->sock, "start slirp4netns");
}

/* ---- from outside */

static int limit_group(struct cgroup_host *groups, struct cgroup_group *group, int *join,
                       struct err *err)
{
    int r = cgroup_create(groups, group, err);
    int n = r < 0 ? r : cgroup_create_v1(groups, group, join, err);
    struct cgroup_limits limits = {.memory_bytes = MEMORY_BYTES,
                                   .connections_bytes = MEMORY_BYTES,
                                   .cpu_milli = CPU_MILLI,
                                   .pids = PIDS};
    char unconfirmed[64];
    if (n < 0)
        return n;
    r = cgroup_set_limits(groups, group, &limits, unconfirmed, err);
    if (r == 0 && unconfirmed[0])
        r = err_set(err, ENOTSUP, "the kernel did not confirm the limits of its control group: %s",
                    unconfirmed);
    if (r == 0)
        return n;
    while (n > 0)
        close(join[--n]);
    return r;
}

int net_relay_start(struct net_relay *relay, struct cgroup_host *groups,
                    const struct proto_start *st, int *ret_sock, struct err *err)
{
    *relay = (struct net_relay){.pidfd = -1};
    if (!net_relay_program())
        return err_set(err, ENOTSUP,
                       "slirp4netns is missing, which is the way to the internet; install the "
                       "package slirp4netns, or set network.policy = none");
    if (access("/dev/net/tun", R_OK | W_OK) < 0)
        return err_set(err, ENOTSUP,
                       "/dev/net/tun: %s; load it as root with modprobe tun, or set "
                       "network.policy = none",
                       strerror(errno));
    int p[2], join[CGROUP_HIERARCHIES], n_join = 0, r = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0)
        return err_errno(err, "make a socket pair");
    _cleanup_close_ int ours = p[0], theirs = p[1], group_fd = -1;
    if (groups && (r = n_join = limit_group(groups, &relay->group, join, err)) >= 0)
        group_fd = cgroup_unified_fd(groups, &relay->group);
    struct clone_args args = {.flags = CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC,
                              .pidfd = (uint64_t)(uintptr_t)&relay->pidfd,
                              .exit_signal = SIGCHLD};
    if (group_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)group_fd;
    }
    pid_t pid = r < 0 ? -1 : sys_clone3(&args);
    if (pid == 0) {
        close(ours);
        relay_main(&(struct relay_child){
            .sock = theirs, .join = join, .n_join = n_join, .connections = st->net_connections});
    }
    if (r >= 0 && pid < 0)
        r = err_errno(err, "make the relay's process");
    for (int i = 0; i < n_join; i++)
        close(join[i]);
    if (r < 0)
        return r;
    *ret_sock = steal_fd(&ours);
    return 0;
}

void net_relay_end(struct net_relay *relay, struct cgroup_host *groups)
{
    if (relay->pidfd >= 0) {
        struct pollfd p = {.fd = relay->pidfd, .events = POLLIN};
        (void)syscall(SYS_pidfd_send_signal, relay->pidfd, SIGKILL, NULL, 0);
        (void)poll(&p, 1, END_WAIT_MS);
        (void)waitid(P_PIDFD, (id_t)relay->pidfd, NULL, WEXITED | WNOHANG);
        close_fd(&relay->pidfd);
    }
    if (groups && relay->group.name[0])
        (void)cgroup_remove(groups, &relay->group);
    relay->group.name[0] = '\0';
}
