/* See nft.h. The expressions and their attributes are those of linux/netfilter/nf_tables.h. */
#include "nft.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#define LOOPBACK_INDEX 1u /* lo is the first interface of every network namespace */
#define ALIGN(n) (((n) + 3u) & ~(size_t)3u)

/* ---- attributes */

static void put(struct nft_batch *b, const void *data, size_t len)
{
    if (b->len + ALIGN(len) > sizeof(b->bytes)) {
        b->full = true;
        return;
    }
    memcpy(b->bytes + b->len, data, len);
    memset(b->bytes + b->len + len, 0, ALIGN(len) - len);
    b->len += ALIGN(len);
}

static void attr(struct nft_batch *b, uint16_t type, const void *data, size_t len)
{
    struct nlattr a = {.nla_len = (uint16_t)(sizeof(a) + len), .nla_type = type};
    put(b, &a, sizeof(a));
    put(b, data, len);
}

static void attr_text(struct nft_batch *b, uint16_t type, const char *text)
{
    attr(b, type, text, strlen(text) + 1);
}

static void attr_u32(struct nft_batch *b, uint16_t type, uint32_t v)
{
    v = htonl(v);
    attr(b, type, &v, sizeof(v));
}

static void attr_u64(struct nft_batch *b, uint16_t type, uint64_t v)
{
    v = htobe64(v);
    attr(b, type, &v, sizeof(v));
}

/* The offset of an attribute that holds others, for close_nest. */
static size_t open_nest(struct nft_batch *b, uint16_t type)
{
    size_t at = b->len;
    struct nlattr a = {.nla_type = (uint16_t)(type | NLA_F_NESTED)};
    put(b, &a, sizeof(a));
    return at;
}

static void close_nest(struct nft_batch *b, size_t at)
{
    if (b->full)
        return;
    uint16_t len = (uint16_t)(b->len - at);
    memcpy(b->bytes + at + offsetof(struct nlattr, nla_len), &len, sizeof(len));
}

/* ---- messages */

static size_t open_message(struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family,
                           uint16_t resource)
{
    size_t at = b->last = b->len;
    struct nlmsghdr h = {
        .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++b->seq};
    struct nfgenmsg g = {
        .nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
    put(b, &h, sizeof(h));
    put(b, &g, sizeof(g));
    return at;
}

static void close_message(struct nft_batch *b, size_t at)
{
    if (b->full)
        return;
    uint32_t len = (uint32_t)(b->len - at);
    memcpy(b->bytes + at + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof(len));
}

static size_t open_nft(struct nft_batch *b, unsigned type, uint16_t flags)
{
    return open_message(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_INET, 0);
}

static void mark(struct nft_batch *b, uint16_t type)
{
    close_message(b, open_message(b, type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}

void nft_begin(struct nft_batch *b)
{
    b->len = 0;
    b->seq = 0;
    b->rules = 0;
    b->full = false;
    mark(b, NFNL_MSG_BATCH_BEGIN);
}

void nft_table(struct nft_batch *b, const char *table)
{
    size_t m = open_nft(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
    attr_text(b, NFTA_TABLE_NAME, table);
    close_message(b, m);
}

void nft_chain(struct nft_batch *b, const char *table, const char *chain, uint32_t hook,
               uint32_t priority)
{
    size_t m = open_nft(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
    attr_text(b, NFTA_CHAIN_TABLE, table);
    attr_text(b, NFTA_CHAIN_NAME, chain);
    size_t h = open_nest(b, NFTA_CHAIN_HOOK);
    attr_u32(b, NFTA_HOOK_HOOKNUM, hook);
    attr_u32(b, NFTA_HOOK_PRIORITY, priority);
    close_nest(b, h);
    attr_u32(b, NFTA_CHAIN_POLICY, NF_DROP);
    attr_text(b, NFTA_CHAIN_TYPE, "filter");
    close_message(b, m);
}

void nft_rule(struct nft_batch *b, const char *table, const char *chain)
{
    b->rule = open_nft(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    attr_text(b, NFTA_RULE_TABLE, table);
    attr_text(b, NFTA_RULE_CHAIN, chain);
    b->set = open_nest(b, NFTA_RULE_EXPRESSIONS);
    b->rules++;
}

void nft_rule_end(struct nft_batch *b)
{
    close_nest(b, b->set);
    close_message(b, b->rule);
}

/* ---- expressions: a value goes into register 1, then it is compared */

struct expr {
    size_t elem, data;
};

static struct expr open_expr(struct nft_batch *b, const char *name)
{
    struct expr e = {.elem = open_nest(b, NFTA_LIST_ELEM)};
    attr_text(b, NFTA_EXPR_NAME, name);
    e.data = open_nest(b, NFTA_EXPR_DATA);
    return e;
}

static void close_expr(struct nft_batch *b, struct expr e)
{
    close_nest(b, e.data);
    close_nest(b, e.elem);
}

static void value(struct nft_batch *b, uint16_t type, const void *data, size_t len)
{
    size_t n = open_nest(b, type);
    attr(b, NFTA_DATA_VALUE, data, len);
    close_nest(b, n);
}

static void compare(struct nft_batch *b, uint32_t op, const void *data, size_t len)
{
    struct expr e = open_expr(b, "cmp");
    attr_u32(b, NFTA_CMP_SREG, NFT_REG_1);
    attr_u32(b, NFTA_CMP_OP, op);
    value(b, NFTA_CMP_DATA, data, len);
    close_expr(b, e);
}

static void mask(struct nft_batch *b, const void *bits, size_t len)
{
    static const uint8_t zero[16];
    struct expr e = open_expr(b, "bitwise");
    attr_u32(b, NFTA_BITWISE_SREG, NFT_REG_1);
    attr_u32(b, NFTA_BITWISE_DREG, NFT_REG_1);
    attr_u32(b, NFTA_BITWISE_LEN, (uint32_t)len);
    value(b, NFTA_BITWISE_MASK, bits, len);
    value(b, NFTA_BITWISE_XOR, zero, len);
    close_expr(b, e);
}

static void load_meta(struct nft_batch *b, uint32_t key)
{
    struct expr e = open_expr(b, "meta");
    attr_u32(b, NFTA_META_DREG, NFT_REG_1);
    attr_u32(b, NFTA_META_KEY, key);
    close_expr(b, e);
}

static void load_payload(struct nft_batch *b, uint32_t base, uint32_t offset, uint32_t len)
{
    struct expr e = open_expr(b, "payload");
    attr_u32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
    attr_u32(b, NFTA_PAYLOAD_BASE, base);
    attr_u32(b, NFTA_PAYLOAD_OFFSET, offset);
    attr_u32(b, NFTA_PAYLOAD_LEN, len);
    close_expr(b, e);
}

static void compare_interface(struct nft_batch *b, bool out, uint32_t op)
{
    uint32_t index = LOOPBACK_INDEX; /* in the machine's byte order, as the kernel keeps it */
    load_meta(b, out ? NFT_META_OIF : NFT_META_IIF);
    compare(b, op, &index, sizeof(index));
}

void nft_is_loopback(struct nft_batch *b, bool out)
{
    compare_interface(b, out, NFT_CMP_EQ);
}

void nft_is_not_loopback(struct nft_batch *b, bool out)
{
    compare_interface(b, out, NFT_CMP_NEQ);
}

void nft_family(struct nft_batch *b, bool v6)
{
    uint8_t family = v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
    load_meta(b, NFT_META_NFPROTO);
    compare(b, NFT_CMP_EQ, &family, sizeof(family));
}

void nft_protocol(struct nft_batch *b, uint8_t protocol)
{
    load_meta(b, NFT_META_L4PROTO);
    compare(b, NFT_CMP_EQ, &protocol, sizeof(protocol));
}

void nft_destination(struct nft_batch *b, bool v6, const uint8_t *addr, unsigned prefix, bool not )
{
    uint32_t len = v6 ? 16 : 4;
    uint8_t bits[16];
    for (unsigned i = 0; i < len; i++) {
        unsigned kept = prefix >= 8 * (i + 1) ? 8 : prefix > 8 * i ? prefix - 8 * i : 0;
        bits[i] = (uint8_t)(0xff << (8 - kept));
    }
    nft_family(b, v6);
    load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, v6 ? 24 : 16, len);
    if (prefix < 8 * len)
        mask(b, bits, len);
    compare(b, not ? NFT_CMP_NEQ : NFT_CMP_EQ, addr, len);
}

void nft_port(struct nft_batch *b, uint16_t port)
{
    uint16_t p = htons(port);
    load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, sizeof(p));
    compare(b, NFT_CMP_EQ, &p, sizeof(p));
}

void nft_icmp_type(struct nft_batch *b, uint8_t type)
{
    load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof(type));
    compare(b, NFT_CMP_EQ, &type, sizeof(type));
}

void nft_state(struct nft_batch *b, uint32_t states)
{
    struct expr e = open_expr(b, "ct");
    attr_u32(b, NFTA_CT_DREG, NFT_REG_1);
    attr_u32(b, NFTA_CT_KEY, NFT_CT_STATE);
    close_expr(b, e);
    uint32_t none = 0;
    mask(b, &states, sizeof(states));
    compare(b, NFT_CMP_NEQ, &none, sizeof(none));
}

void nft_above_rate(struct nft_batch *b, uint64_t per_second, uint32_t burst, bool bytes)
{
    struct expr e = open_expr(b, "limit");
    attr_u64(b, NFTA_LIMIT_RATE, per_second);
    attr_u64(b, NFTA_LIMIT_UNIT, 1);
    attr_u32(b, NFTA_LIMIT_BURST, burst);
    attr_u32(b, NFTA_LIMIT_TYPE, bytes ? NFT_LIMIT_PKT_BYTES : NFT_LIMIT_PKTS);
    attr_u32(b, NFTA_LIMIT_FLAGS, NFT_LIMIT_F_INV);
    close_expr(b, e);
}

void nft_above_count(struct nft_batch *b, uint32_t count)
{
    struct expr e = open_expr(b, "connlimit");
    attr_u32(b, NFTA_CONNLIMIT_COUNT, count);
    attr_u32(b, NFTA_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
    close_expr(b, e);
}

static void verdict(struct nft_batch *b, uint32_t code)
{
    struct expr e = open_expr(b, "immediate");
    attr_u32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    size_t d = open_nest(b, NFTA_IMMEDIATE_DATA);
    size_t v = open_nest(b, NFTA_DATA_VERDICT);
    attr_u32(b, NFTA_VERDICT_CODE, code);
    close_nest(b, v);
    close_nest(b, d);
    close_expr(b, e);
}

void nft_accept(struct nft_batch *b)
{
    verdict(b, NF_ACCEPT);
}

void nft_drop(struct nft_batch *b)
{
    verdict(b, NF_DROP);
}

void nft_reject(struct nft_batch *b)
{
    uint8_t code = NFT_REJECT_ICMPX_ADMIN_PROHIBITED;
    struct expr e = open_expr(b, "reject");
    attr_u32(b, NFTA_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
    attr(b, NFTA_REJECT_ICMP_CODE, &code, sizeof(code));
    close_expr(b, e);
}
