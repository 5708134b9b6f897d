/* See rules_add.h. Calls that every program makes, and that by one of their arguments reach what is
 * shared with the host and counted for no sandbox: its core dump handler, its pool of huge pages,
 * the pages of its files, its memory for programs of packet filters. */
#include "rules_add.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define MOST 128 /* the numbers of options, advices and limits are below */
#define COUNT(list) (sizeof(list) / sizeof(*(list)))

#ifndef MADV_MERGEABLE
#define MADV_MERGEABLE 12
#endif
#define MFD_HUGE 4u /* MFD_HUGETLB, whose header clashes with libc's */
#define UDP_ENCAP_OPTION 100

/* Every small number but some, with `level` in the argument before it (-1: none is asked for). */
static void allow_others(struct rules *ctx, const char *name, unsigned arg, int level,
                         const int *refused, size_t n)
{
    for (int value = 0; value < MOST; value++) {
        bool found = false;
        for (size_t i = 0; i < n; i++)
            found |= refused[i] == value;
        if (found)
            continue;
        struct scmp_arg_cmp a[] = {
            SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)value),
            SCMP_CMP(arg - 1, SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)(level < 0 ? 0 : level))};
        add_rule(ctx, SCMP_ACT_ALLOW, name, level < 0 ? 1 : 2, a);
    }
}

/* Levels of the families that there are. Of TCP what servers set: not TCP_ULP, which loads
 * protocols into the kernel (TLS, SMC), not TCP_REPAIR or keys. Of UDP no tunnels. No programs on
 * sockets (SO_ATTACH_...): the kernel compiles them into memory that is limited for all together,
 * the filters of other sandboxes included, and counted for nobody. */
void rules_setsockopt(struct rules *ctx)
{
    static const int levels[] = {IPPROTO_IP, IPPROTO_IPV6, 270}; /* 270: SOL_NETLINK */
    static const int programs[] = {SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF,
                                   SO_ATTACH_REUSEPORT_EBPF};
    static const int tunnels[] = {UDP_ENCAP_OPTION};
    static const int tcp[] = {
        TCP_NODELAY,      TCP_MAXSEG,       TCP_CORK,          TCP_KEEPIDLE,
        TCP_KEEPINTVL,    TCP_KEEPCNT,      TCP_SYNCNT,        TCP_LINGER2,
        TCP_DEFER_ACCEPT, TCP_WINDOW_CLAMP, TCP_QUICKACK,      TCP_CONGESTION,
        TCP_USER_TIMEOUT, TCP_FASTOPEN,     TCP_NOTSENT_LOWAT, TCP_FASTOPEN_CONNECT,
    };
    for (size_t i = 0; i < COUNT(levels); i++)
        allow_int(ctx, "setsockopt", 1, (uint64_t)levels[i]);
    allow_others(ctx, "setsockopt", 2, SOL_SOCKET, programs, COUNT(programs));
    allow_others(ctx, "setsockopt", 2, IPPROTO_UDP, tunnels, COUNT(tunnels));
    for (size_t i = 0; i < COUNT(tcp); i++) {
        struct scmp_arg_cmp a[] = {SCMP_A1(SCMP_CMP_MASKED_EQ, LOW_32, IPPROTO_TCP),
                                   SCMP_A2(SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)tcp[i])};
        add_rule(ctx, SCMP_ACT_ALLOW, "setsockopt", 2, a);
    }
}

/* The limit of core dumps stays 1: with 0, which anybody may set, a piped core_pattern runs the
 * host's handler, as root and on bytes of the program's making. Whoever sets it wants none, and is
 * told that it was done. */
void rules_limits(struct rules *ctx)
{
    static const int core[] = {RLIMIT_CORE};
    struct scmp_arg_cmp set = SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, RLIMIT_CORE);
    struct scmp_arg_cmp ask[] = {SCMP_A1(SCMP_CMP_MASKED_EQ, LOW_32, RLIMIT_CORE),
                                 SCMP_A2(SCMP_CMP_EQ, 0, 0)};
    struct scmp_arg_cmp change[] = {SCMP_A1(SCMP_CMP_MASKED_EQ, LOW_32, RLIMIT_CORE),
                                    SCMP_A2(SCMP_CMP_NE, 0, 0)};
    allow_others(ctx, "setrlimit", 0, -1, core, COUNT(core));
    add_rule(ctx, SCMP_ACT_ERRNO(0), "setrlimit", 1, &set);
    allow_others(ctx, "prlimit64", 1, -1, core, COUNT(core));
    add_rule(ctx, SCMP_ACT_ALLOW, "prlimit64", 2, ask);
    add_rule(ctx, SCMP_ACT_ERRNO(0), "prlimit64", 2, change);
}

/* PROT_EXEC is left alone: it belongs to every JIT and loader. Huge pages come from a pool of the
 * host's that no group of ours limits: there is none, as on a machine without. Memory is not merged
 * with others' equal pages, which could be told by the time that a write takes. Files that are
 * shared are not put out of the host's memory: an advice, so it is taken and not followed. */
void rules_memory(struct rules *ctx)
{
    static const int merge[] = {MADV_MERGEABLE}, drop[] = {POSIX_FADV_DONTNEED};
    struct scmp_arg_cmp small = SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_HUGETLB, 0);
    struct scmp_arg_cmp huge = SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_HUGETLB, MAP_HUGETLB);
    struct scmp_arg_cmp small_file = SCMP_A1(SCMP_CMP_MASKED_EQ, MFD_HUGE, 0);
    struct scmp_arg_cmp merging = SCMP_A2(SCMP_CMP_MASKED_EQ, LOW_32, MADV_MERGEABLE);
    struct scmp_arg_cmp dropping = SCMP_A3(SCMP_CMP_MASKED_EQ, LOW_32, POSIX_FADV_DONTNEED);
    static const char *const maps[] = {"mmap", "mmap2"};
    for (size_t i = 0; i < COUNT(maps); i++) {
        add_rule(ctx, SCMP_ACT_ALLOW, maps[i], 1, &small);
        add_rule(ctx, SCMP_ACT_ERRNO(ENOMEM), maps[i], 1, &huge);
    }
    add_rule(ctx, SCMP_ACT_ALLOW, "memfd_create", 1, &small_file);
    allow_others(ctx, "madvise", 2, -1, merge, COUNT(merge));
    add_rule(ctx, SCMP_ACT_ERRNO(EINVAL), "madvise", 1, &merging);
    allow_others(ctx, "fadvise64", 3, -1, drop, COUNT(drop));
    add_rule(ctx, SCMP_ACT_ERRNO(0), "fadvise64", 1, &dropping);
}
