/* Hands a batch of rules to the kernel, and looks what it made of it. See nft.h. */
#include "nft.h"

#include "common/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WAIT_S 10
#define NEWRULE (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE)

static int refused(int code, struct err *err)
{
    if (code == EPROTONOSUPPORT || code == EOPNOTSUPP || code == ENOENT || code == EINVAL)
        return err_set(err, ENOTSUP,
                       "this kernel cannot filter packets as needed (%s): it needs nf_tables with "
                       "ct, limit, connlimit and reject; load them as root with modprobe -a "
                       "nf_tables nft_ct nft_limit nft_connlimit nft_reject_inet",
                       strerror(code));
    return err_set(err, code, "the kernel refuses the packet filter: %s", strerror(code));
}

/* What is wrong is answered for every message, what is right for the last one, which asks for it.
 */
static int hear_answer(int sock, struct err *err)
{
    char in[16384] __attribute__((aligned(8)));
    for (;;) {
        ssize_t n = recv(sock, in, sizeof(in), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(err, "hear from the packet filter");
        size_t left = (size_t)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)in; NLMSG_OK(h, left);
             h = NLMSG_NEXT(h, left)) {
            const struct nlmsgerr *e = NLMSG_DATA(h);
            if (h->nlmsg_type != NLMSG_ERROR)
                continue;
            return e->error ? refused(-e->error, err) : 0;
        }
    }
}

static int ask_rules(int sock, const char *table, struct err *err)
{
    struct {
        struct nlmsghdr h;
        struct nfgenmsg g;
        struct nlattr a;
        char table[32];
    } q = {
        .h = {.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE,
              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .g = {.nfgen_family = NFPROTO_INET},
        .a = {.nla_type = NFTA_RULE_TABLE},
    };
    size_t len = strnlen(table, sizeof(q.table) - 1) + 1;
    memcpy(q.table, table, len - 1);
    q.a.nla_len = (uint16_t)(sizeof(q.a) + len);
    q.h.nlmsg_len = (uint32_t)(offsetof(__typeof__(q), table) + ((len + 3) & ~3u));
    return send(sock, &q, q.h.nlmsg_len, 0) < 0 ? err_errno(err, "ask for the packet filter") : 0;
}

static int count_rules(int sock, const char *table, unsigned *ret, struct err *err)
{
    char in[32768] __attribute__((aligned(8)));
    *ret = 0;
    int r = ask_rules(sock, table, err);
    while (r == 0) {
        ssize_t n = recv(sock, in, sizeof(in), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(err, "read the packet filter back");
        size_t left = (size_t)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)in; NLMSG_OK(h, left);
             h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE)
                return 0;
            if (h->nlmsg_type == NLMSG_ERROR)
                return err_set(err, EIO, "the packet filter cannot be read back");
            *ret += h->nlmsg_type == NEWRULE;
        }
    }
    return r;
}

int nft_commit(struct nft_batch *b, const char *table, struct err *err)
{
    struct nlmsghdr end = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
                           .nlmsg_type = NFNL_MSG_BATCH_END,
                           .nlmsg_flags = NLM_F_REQUEST,
                           .nlmsg_seq = b->seq + 1};
    struct nfgenmsg end_of = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
    if (b->full)
        return err_set(err, E2BIG, "there are too many rules for addresses");
    _cleanup_close_ int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (sock < 0)
        return refused(errno, err);
    int room = 1 << 20;
    struct timeval wait = {.tv_sec = WAIT_S};
    (void)setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    (void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    int one = 1; /* an answer need not carry its whole question */
    (void)setsockopt(sock, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
    struct nlmsghdr last;
    memcpy(&last, b->bytes + b->last, sizeof(last));
    last.nlmsg_flags |= NLM_F_ACK;
    memcpy(b->bytes + b->last, &last, sizeof(last));
    struct iovec iov[] = {{b->bytes, b->len}, {&end, sizeof(end)}, {&end_of, sizeof(end_of)}};
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct msghdr msg = {.msg_name = &kernel,
                         .msg_namelen = sizeof(kernel),
                         .msg_iov = iov,
                         .msg_iovlen = sizeof(iov) / sizeof(*iov)};
    if (sendmsg(sock, &msg, 0) < 0)
        return err_errno(err, "send the packet filter");
    unsigned have;
    int r = hear_answer(sock, err);
    if (r == 0 && (r = count_rules(sock, table, &have, err)) == 0 && have != b->rules)
        r = err_set(err, EIO, "the packet filter has %u rules instead of %u", have, b->rules);
    return r;
}
