/* The sandbox's side of net_relay.h: rules first, then the interface that they are for. */
#include "net_relay.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "sandbox/pass_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ATTACH_WAIT_MS 15000
#define LATENCY_MS 50 /* how long a packet may wait for its turn */

static int send_namespaces(int sock, struct err *err)
{
    _cleanup_close_ int userns = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (userns < 0 || netns < 0)
        return err_errno(err, "open our namespaces");
    int fds[2] = {userns, netns};
    int r = pass_fds(sock, fds, 2, 0);
    return r < 0 ? err_set(err, -r, "reach the relay: %s", strerror(-r)) : 0;
}

/* Its "1" when the interface is there. Whatever else it says before it ends is the reason. */
static int wait_until_ready(int sock, struct err *err)
{
    char said[256] = "", in[256];
    uint64_t end_ms = mono_ms() + ATTACH_WAIT_MS;
    for (;;) {
        uint64_t now = mono_ms();
        struct pollfd p = {.fd = sock, .events = POLLIN};
        int n = poll(&p, 1, now < end_ms ? (int)(end_ms - now) : 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, ETIMEDOUT, "slirp4netns was not ready within %d s (%s)",
                           ATTACH_WAIT_MS / 1000, said);
        ssize_t len = recv(sock, in, sizeof(in) - 1, 0);
        if (len <= 0)
            return err_set(err, EIO, "slirp4netns ended before it was ready: %s",
                           *said ? said : "it said nothing");
        in[len] = '\0';
        in[strcspn(in, "\n")] = '\0';
        if (strcmp(in, "1") == 0)
            return 0;
        if (*in)
            snprintf(said, sizeof(said), "%s", in);
    }
}

/* A token bucket at the interface shapes what goes out: packets wait, few are lost. */
static int limit_bandwidth(uint64_t bytes_per_second, struct err *err)
{
    struct {
        struct nlmsghdr h;
        struct tcmsg t;
        uint8_t attrs[128];
    } q = {
        .h = {.nlmsg_type = RTM_NEWQDISC,
              .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
        .t = {.tcm_family = AF_UNSPEC,
              .tcm_ifindex = (int)if_nametoindex(NET_TAP),
              .tcm_parent = TC_H_ROOT,
              .tcm_handle = 0x10000},
    };
    uint32_t burst = (uint32_t)(bytes_per_second / 50);
    burst = burst < 16384 ? 16384 : burst;
    uint32_t ns = (uint32_t)((uint64_t)burst * 1000000000u / bytes_per_second);
    struct tc_tbf_qopt o = {
        .rate = {.rate = (uint32_t)bytes_per_second, .linklayer = TC_LINKLAYER_ETHERNET},
        .limit = burst + (uint32_t)(bytes_per_second * LATENCY_MS / 1000),
        .buffer = ns >> 6, /* in the scheduler's ticks of 64 ns */
    };
    size_t len = 0;
#define ATTR(type, data, size)                                                                     \
    do {                                                                                           \
        struct nlattr a = {.nla_len = (uint16_t)(sizeof(a) + (size)), .nla_type = (type)};         \
        memcpy(q.attrs + len, &a, sizeof(a));                                                      \
        if (size)                                                                                  \
            memcpy(q.attrs + len + sizeof(a), (data), (size));                                     \
        len += sizeof(a) + (((size) + 3u) & ~3u);                                                  \
    } while (0)
    ATTR(TCA_KIND, "tbf", 4u);
    size_t nest = len;
    ATTR(TCA_OPTIONS | NLA_F_NESTED, "", 0u);
    ATTR(TCA_TBF_PARMS, &o, sizeof(o));
    ATTR(TCA_TBF_BURST, &burst, sizeof(burst));
#undef ATTR
    uint16_t nest_len = (uint16_t)(len - nest);
    memcpy(q.attrs + nest, &nest_len, sizeof(nest_len));
    q.h.nlmsg_len = (uint32_t)(offsetof(__typeof__(q), attrs) + len);
    _cleanup_close_ int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct {
        struct nlmsghdr h;
        struct nlmsgerr e;
    } a;
    if (sock < 0 || send(sock, &q, q.h.nlmsg_len, 0) < 0 || recv(sock, &a, sizeof(a), 0) < 0)
        return err_errno(err, "limit the bandwidth");
    if (a.h.nlmsg_type != NLMSG_ERROR || a.e.error)
        return err_set(err, -a.e.error,
                       "the kernel does not limit the bandwidth: %s; load it as root with modprobe "
                       "sch_tbf, or set network.bandwidth = 0",
                       strerror(-a.e.error));
    return 0;
}

/* The interface gets its IPv6 address by an advertisement: asked for at once, and taken without a
 * second's wait for others that may have it; there is nobody else. */
static void hasten_addresses(int proc_fd)
{
    static const char *const zero[] = {"sys/net/ipv6/conf/default/router_solicitation_delay",
                                       "sys/net/ipv6/conf/default/accept_dad"};
    for (size_t i = 0; i < sizeof(zero) / sizeof(*zero); i++) {
        _cleanup_close_ int fd = openat(proc_fd, zero[i], O_WRONLY | O_CLOEXEC);
        if (fd >= 0) /* without IPv6 there is no such file */
            (void)write_all(fd, "0", 1);
    }
}

int net_relay_attach(int proc_fd, int sock, const struct proto_start *st,
                     const struct net_host *host, struct err *err)
{
    hasten_addresses(proc_fd);
    int r = net_rules_load(st, host, err);
    if (r == 0)
        r = send_namespaces(sock, err);
    if (r == 0)
        r = wait_until_ready(sock, err);
    if (r == 0 && st->net_bandwidth)
        r = limit_bandwidth(st->net_bandwidth, err);
    return r;
}
