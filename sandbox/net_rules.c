/* See net_rules.h. Every packet is judged by its destination, whatever the state of its connection:
 * a program can make connections up that the kernel believes to be established, by sending both
 * sides of them over the loopback from addresses that are not its own (IPV6_FREEBIND). */
#include "net_rules.h"

#include "sandbox/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netfilter.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#define TABLE "vitrine"
#define BURST_SECONDS 2 /* of new connections at once: pages open several */

int net_host_read(struct net_host *ret, struct err *err)
{
    struct ifaddrs *all;
    ret->n = 0;
    if (getifaddrs(&all) < 0)
        return err_errno(err, "list the host's addresses");
    int r = 0;
    for (struct ifaddrs *a = all; a && r == 0; a = a->ifa_next) {
        if (!a->ifa_addr ||
            (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
            continue;
        if (ret->n == NET_MAX_HOST) {
            r = err_set(err, E2BIG, "the host has more than %d addresses", NET_MAX_HOST);
            break;
        }
        struct netrule *rule = &ret->addresses[ret->n++];
        rule->v6 = a->ifa_addr->sa_family == AF_INET6;
        rule->prefix = rule->v6 ? 128 : 32;
        if (rule->v6)
            memcpy(rule->addr, &((struct sockaddr_in6 *)(void *)a->ifa_addr)->sin6_addr, 16);
        else
            memcpy(rule->addr, &((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr, 4);
    }
    freeifaddrs(all);
    return r;
}

static void refuse(struct nft_batch *b, const struct netrule *r, bool others)
{
    nft_rule(b, TABLE, "output");
    nft_destination(b, r->v6, r->addr, r->prefix, others);
    nft_reject(b);
    nft_rule_end(b);
}

static void limit(struct nft_batch *b, const struct proto_start *st)
{
    if (st->net_connections) {
        nft_rule(b, TABLE, "limits");
        nft_above_count(b, st->net_connections);
        nft_reject(b);
        nft_rule_end(b);
    }
    if (st->net_new_connections) {
        nft_rule(b, TABLE, "limits");
        nft_above_rate(b, st->net_new_connections, st->net_new_connections * BURST_SECONDS, false);
        nft_reject(b);
        nft_rule_end(b);
    }
}

/* Accepted once it has passed the limits: they are a chain of their own at the same hook. */
static void admit(struct nft_batch *b, const struct netrule *r, uint8_t protocol)
{
    nft_rule(b, TABLE, "output");
    if (r)
        nft_destination(b, r->v6, r->addr, r->prefix, false);
    if (protocol)
        nft_protocol(b, protocol);
    if (r && r->port)
        nft_port(b, r->port);
    nft_accept(b);
    nft_rule_end(b);
}

static void admit_rule(struct nft_batch *b, const struct netrule *r)
{
    if (!r->port) {
        admit(b, r, 0);
        return;
    }
    admit(b, r, IPPROTO_TCP);
    admit(b, r, IPPROTO_UDP);
}

static void accept_loopback(struct nft_batch *b, const char *chain, bool out)
{
    nft_rule(b, TABLE, chain);
    nft_is_loopback(b, out);
    nft_accept(b);
    nft_rule_end(b);
}

/* Who is a neighbour (the gateway): nothing in IPv6 goes without. No program can write such
 * packets, that takes a raw socket. */
static void accept_neighbours(struct nft_batch *b, const char *chain)
{
    static const uint8_t types[] = {ND_ROUTER_SOLICIT, ND_ROUTER_ADVERT, ND_NEIGHBOR_SOLICIT,
                                    ND_NEIGHBOR_ADVERT};
    for (size_t i = 0; i < sizeof(types); i++) {
        nft_rule(b, TABLE, chain);
        nft_family(b, true);
        nft_protocol(b, IPPROTO_ICMPV6);
        nft_icmp_type(b, types[i]);
        nft_accept(b);
        nft_rule_end(b);
    }
}

static int each_rule(const struct proto_start *st, bool allow, struct nft_batch *b, struct err *err)
{
    const char *end = st->net_rules + st->net_rules_len;
    for (const char *p = st->net_rules; p < end; p += strnlen(p, (size_t)(end - p)) + 1) {
        bool is_allow = strncmp(p, "allow ", 6) == 0;
        if (!memchr(p, '\0', (size_t)(end - p)) || (!is_allow && strncmp(p, "deny ", 5) != 0))
            return err_set(err, EINVAL, "network rules: an entry is neither allow nor deny");
        struct netrule rule;
        int r = netrule_parse(p + (is_allow ? 6 : 5), is_allow, &rule, err);
        if (r < 0)
            return err_prefix(err, -r, "network rules");
        if (!b || is_allow != allow)
            continue;
        if (allow)
            admit_rule(b, &rule);
        else
            refuse(b, &rule, false);
    }
    return 0;
}

int net_rules_check(const struct proto_start *st, struct err *err)
{
    if (st->net > NET_INTERNET)
        return err_set(err, EINVAL, "network policy %u is not known", st->net);
    if (st->net_new_connections > 1000000 || st->net_connections > 1000000)
        return err_set(err, EINVAL, "a network limit of more than 1000000 connections");
    if (st->net_bandwidth > UINT32_MAX || (st->net_bandwidth && st->net_bandwidth < 16384))
        return err_set(err, EINVAL, "network bandwidth of %llu bytes a second: 16K to 4G",
                       (unsigned long long)st->net_bandwidth);
    return each_rule(st, false, NULL, err);
}

static int output(struct nft_batch *b, const struct proto_start *st, const struct net_host *host,
                  struct err *err)
{
    struct netrule rule;
    accept_loopback(b, "output", true);
    accept_neighbours(b, "output");
    (void)netrule_parse(NET_RESOLVER ":53", true, &rule, NULL);
    admit_rule(b, &rule);
    int r = each_rule(st, true, b, err);
    for (int i = 0; r == 0 && i < host->n; i++)
        refuse(b, &host->addresses[i], false);
    for (size_t i = 0; r == 0 && netrule_not_public[i]; i++)
        if ((r = netrule_parse(netrule_not_public[i], false, &rule, err)) == 0)
            refuse(b, &rule, false);
    if (r == 0 && (r = netrule_parse(NETRULE_GLOBAL_UNICAST, false, &rule, err)) == 0)
        refuse(b, &rule, true);
    if (r == 0)
        r = each_rule(st, false, b, err);
    if (r < 0)
        return r;
    admit(b, NULL, IPPROTO_TCP);
    admit(b, NULL, IPPROTO_UDP);
    admit(b, NULL, IPPROTO_ICMP);
    admit(b, NULL, IPPROTO_ICMPV6);
    return 0;
}

/* New connections that the rules let out, counted behind them. */
static void limits(struct nft_batch *b, const struct proto_start *st)
{
    accept_loopback(b, "limits", true);
    accept_neighbours(b, "limits");
    nft_rule(b, TABLE, "limits");
    nft_state(b, NFT_STATE_ESTABLISHED | NFT_STATE_RELATED);
    nft_accept(b);
    nft_rule_end(b);
    limit(b, st);
    nft_rule(b, TABLE, "limits");
    nft_accept(b);
    nft_rule_end(b);
}

/* Only answers come in. What comes faster than the limit is dropped, upon which TCP slows down. */
static void input(struct nft_batch *b, const struct proto_start *st)
{
    accept_loopback(b, "input", false);
    if (st->net_bandwidth) {
        uint32_t burst = (uint32_t)(st->net_bandwidth / 8);
        nft_rule(b, TABLE, "input");
        nft_above_rate(b, st->net_bandwidth, burst < 65536 ? 65536 : burst, true);
        nft_drop(b);
        nft_rule_end(b);
    }
    accept_neighbours(b, "input");
    nft_rule(b, TABLE, "input");
    nft_state(b, NFT_STATE_ESTABLISHED | NFT_STATE_RELATED);
    nft_accept(b);
    nft_rule_end(b);
}

int net_rules_load(const struct proto_start *st, const struct net_host *host, struct err *err)
{
    static struct nft_batch batch; /* large, and touched by those only that have a way out */
    struct nft_batch *b = &batch;
    nft_begin(b);
    nft_table(b, TABLE);
    nft_chain(b, TABLE, "output", NF_INET_LOCAL_OUT, 0);
    nft_chain(b, TABLE, "limits", NF_INET_LOCAL_OUT, 10);
    nft_chain(b, TABLE, "input", NF_INET_LOCAL_IN, 0);
    nft_chain(b, TABLE, "forward", NF_INET_FORWARD, 0);
    int r = output(b, st, host, err);
    if (r < 0)
        return r;
    limits(b, st);
    input(b, st);
    return nft_commit(b, TABLE, err);
}
