/* Rules of nf_tables, written as the one batch of netlink messages in which the kernel takes them:
 * all or none. Only what net_rules.c needs; a library would be another third of this program, and
 * is not needed to add up a few numbers. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NFT_BATCH_BYTES (128 * 1024)

struct nft_batch {
    size_t len;
    uint32_t seq;     /* messages so far */
    unsigned rules;   /* of them rules */
    size_t last;      /* offsets: of the last message, */
    size_t rule, set; /* of the open rule and of its list of expressions */
    bool full;
    uint8_t bytes[NFT_BATCH_BYTES] __attribute__((aligned(8)));
};

void nft_begin(struct nft_batch *b);
/* A table of the family inet that holds everything below. */
void nft_table(struct nft_batch *b, const char *table);
/* A chain at a hook (NF_INET_*, lower priorities come first), whose packets are dropped where no
 * rule says otherwise. */
void nft_chain(struct nft_batch *b, const char *table, const char *chain, uint32_t hook,
               uint32_t priority);

/* A rule is what lies between the two: tests that must all hold, then what happens. */
void nft_rule(struct nft_batch *b, const char *table, const char *chain);
void nft_rule_end(struct nft_batch *b);

/* ---- tests */
void nft_is_loopback(struct nft_batch *b, bool out);
void nft_is_not_loopback(struct nft_batch *b, bool out);
void nft_family(struct nft_batch *b, bool v6);
void nft_protocol(struct nft_batch *b, uint8_t protocol);
/* The destination (not: anything but) begins with these bits. */
void nft_destination(struct nft_batch *b, bool v6, const uint8_t *addr, unsigned prefix, bool not );
/* The destination port of TCP and UDP. */
void nft_port(struct nft_batch *b, uint16_t port);
void nft_icmp_type(struct nft_batch *b, uint8_t type);
/* The connection's state is one of NFT_STATE_*. */
#define NFT_STATE_ESTABLISHED 2u
#define NFT_STATE_RELATED 4u
#define NFT_STATE_NEW 8u
void nft_state(struct nft_batch *b, uint32_t states);
/* More than this in a second; `burst` at once. */
void nft_above_rate(struct nft_batch *b, uint64_t per_second, uint32_t burst, bool bytes);
/* There are more connections than this. */
void nft_above_count(struct nft_batch *b, uint32_t count);

/* ---- what happens */
void nft_accept(struct nft_batch *b);
void nft_drop(struct nft_batch *b);
/* An error at once (host unreachable, permission denied) instead of a wait. */
void nft_reject(struct nft_batch *b);

/* Hands everything to the kernel of the namespace that we are in, waits for its word on each
 * message, and counts the rules of `table` that it then has. -ENOTSUP where it has no nf_tables. */
int nft_commit(struct nft_batch *b, const char *table, struct err *err);
