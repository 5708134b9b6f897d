/* See rules.h. */
#include "rules.h"

#include "compact.h"
#include "lists.h"
#include "rules_add.h"
#include "services.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

void add_rule(struct rules *ctx, uint32_t action, const char *name, unsigned n,
              const struct scmp_arg_cmp *args)
{
    if (ctx->failed || seccomp_syscall_resolve_name_arch(ctx->arch, name) < 0)
        return; /* not a call of that machine, or newer than the library */
    int nr = seccomp_syscall_resolve_name(name); /* ours: the library translates */
    int r = seccomp_rule_add_array(ctx->ctx, action, nr, n, args);
    if (r < 0)
        ctx->failed = err_set(ctx->err, -r, "rule for %s: %s", name, strerror(-r));
}

static void add_groups(struct rules *ctx, uint32_t action, const struct filter_group *groups,
                       size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (const char *const *call = groups[i].calls; *call; call++)
            add_rule(ctx, action, *call, 0, NULL);
}

void allow_int(struct rules *ctx, const char *name, unsigned arg, uint64_t value)
{
    struct scmp_arg_cmp a = SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, LOW_32, value);
    add_rule(ctx, SCMP_ACT_ALLOW, name, 1, &a);
}

/* Threads and processes, no namespaces. clone3 hides its flags in memory where no filter can see
 * them, so it does not exist here (not listed: ENOSYS; EPERM breaks thread libraries). */
static void rules_clone(struct rules *ctx)
{
    const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    struct scmp_arg_cmp a = SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0);
    add_rule(ctx, SCMP_ACT_ALLOW, "clone", 1, &a);
}

/* Requests on what a demo has: files, pipes, sockets. TIOCSTI and TIOCLINUX (typing into a
 * terminal) are not among them, nor is any device's. */
static void rules_ioctl(struct rules *ctx)
{
    static const unsigned long requests[] = {
        FIONREAD,       FIONBIO,      FIOCLEX,       FIONCLEX,       FIOASYNC,
        TCGETS,         TIOCGWINSZ,   TIOCGPGRP,     TIOCOUTQ,       FS_IOC_GETFLAGS,
        FICLONE,        FICLONERANGE, FS_IOC_FIEMAP, SIOCATMARK,     SIOCGIFNAME,
        SIOCGIFINDEX,   SIOCGIFCONF,  SIOCGIFFLAGS,  SIOCGIFADDR,    SIOCGIFBRDADDR,
        SIOCGIFNETMASK, SIOCGIFMTU,   SIOCGIFHWADDR, SIOCGIFDSTADDR, SIOCETHTOOL,
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++)
        allow_int(ctx, "ioctl", 1, requests[i]);
}

/* Unix, TCP and UDP, and asking for addresses by netlink. No raw, packet, vsock, crypto or other
 * sockets, no other netlink, no SCTP or the like. */
static void rules_socket(struct rules *ctx)
{
    static const int families[] = {AF_INET, AF_INET6};
    static const struct {
        int type, protocol;
    } kinds[] = {
        {SOCK_STREAM, 0}, {SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, 0}, {SOCK_DGRAM, IPPROTO_UDP}};
    const uint64_t type_mask = 0xf; /* the rest of it are SOCK_CLOEXEC and SOCK_NONBLOCK */
    allow_int(ctx, "socket", 0, AF_UNIX);
    for (size_t f = 0; f < 2; f++)
        for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
            struct scmp_arg_cmp a[] = {
                SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)families[f]),
                SCMP_A1(SCMP_CMP_MASKED_EQ, type_mask, (uint64_t)kinds[k].type),
                SCMP_A2(SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)kinds[k].protocol)};
            add_rule(ctx, SCMP_ACT_ALLOW, "socket", 3, a);
        }
    struct scmp_arg_cmp route[] = {SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, AF_NETLINK),
                                   SCMP_A2(SCMP_CMP_MASKED_EQ, LOW_32, NETLINK_ROUTE)};
    add_rule(ctx, SCMP_ACT_ALLOW, "socket", 2, route);
    allow_int(ctx, "socketpair", 0, AF_UNIX);
}

static void rules_prctl(struct rules *ctx)
{
    static const int options[] = {
        PR_SET_NAME,
        PR_GET_NAME,
        PR_SET_PDEATHSIG,
        PR_GET_PDEATHSIG,
        PR_GET_DUMPABLE,
        PR_SET_DUMPABLE,
        PR_SET_TIMERSLACK,
        PR_GET_TIMERSLACK,
        PR_SET_NO_NEW_PRIVS,
        PR_GET_NO_NEW_PRIVS,
        PR_SET_SECCOMP,
        PR_GET_SECCOMP,
        PR_CAPBSET_READ,
        PR_GET_SECUREBITS,
        PR_CAP_AMBIENT,
        PR_SET_THP_DISABLE,
        PR_GET_THP_DISABLE,
        PR_SET_VMA,
        PR_GET_KEEPCAPS,
        PR_SET_CHILD_SUBREAPER,
        PR_GET_CHILD_SUBREAPER,
        PR_GET_TAGGED_ADDR_CTRL,
        PR_SET_TAGGED_ADDR_CTRL,
        PR_SVE_GET_VL,
        PR_SVE_SET_VL,
        PR_PAC_RESET_KEYS,
        PR_GET_SPECULATION_CTRL,
        PR_SET_SPECULATION_CTRL,
        PR_GET_TID_ADDRESS,
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
        allow_int(ctx, "prctl", 0, (uint64_t)options[i]);
}

/* Asking, and plain Linux: no fixed addresses, no other system's ways. */
static void rules_personality(struct rules *ctx)
{
    allow_int(ctx, "personality", 0, PER_LINUX);
    allow_int(ctx, "personality", 0, 0xffffffffu);
}

/* Not F_NOTIFY, which tells who works in a folder of the host's /usr (nor inotify_add_watch:
 * lists.h), and no leases. */
static void rules_fcntl(struct rules *ctx)
{
    static const int commands[] = {
        F_DUPFD,      F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,     F_GETFL,       F_SETFL,
        F_GETLK,      F_SETLK,         F_SETLKW,    F_OFD_GETLK, F_OFD_SETLK,   F_OFD_SETLKW,
        F_SETOWN,     F_GETOWN,        F_SETOWN_EX, F_GETOWN_EX, F_SETSIG,      F_GETSIG,
        F_SETPIPE_SZ, F_GETPIPE_SZ,    F_ADD_SEALS, F_GET_SEALS, F_GET_RW_HINT, F_SET_RW_HINT,
    };
    for (size_t i = 0; i < COUNT(commands); i++) {
        allow_int(ctx, "fcntl", 1, (uint64_t)commands[i]);
        allow_int(ctx, "fcntl64", 1, (uint64_t)commands[i]);
    }
}

/* Fifos, which are files; no devices, not even the whiteouts of overlays. */
static void rules_mknod(struct rules *ctx)
{
    static const struct {
        const char *name;
        unsigned mode; /* which argument */
    } calls[] = {{"mknod", 1}, {"mknodat", 2}};
    for (size_t i = 0; i < COUNT(calls); i++) {
        struct scmp_arg_cmp fifo = SCMP_CMP(calls[i].mode, SCMP_CMP_MASKED_EQ, S_IFMT, S_IFIFO);
        struct scmp_arg_cmp chr = SCMP_CMP(calls[i].mode, SCMP_CMP_MASKED_EQ, S_IFMT, S_IFCHR);
        struct scmp_arg_cmp blk = SCMP_CMP(calls[i].mode, SCMP_CMP_MASKED_EQ, S_IFMT, S_IFBLK);
        add_rule(ctx, SCMP_ACT_ALLOW, calls[i].name, 1, &fifo);
        add_rule(ctx, SCMP_ACT_ERRNO(EPERM), calls[i].name, 1, &chr);
        add_rule(ctx, SCMP_ACT_ERRNO(EPERM), calls[i].name, 1, &blk);
    }
}

static void user_rules(struct rules *ctx)
{
    add_groups(ctx, SCMP_ACT_ALLOW, user_allowed, COUNT(user_allowed));
    add_groups(ctx, SCMP_ACT_ERRNO(EPERM), user_refused, COUNT(user_refused));
    add_groups(ctx, SCMP_ACT_ERRNO(ENOSPC), user_watches, COUNT(user_watches));
    rules_clone(ctx);
    rules_ioctl(ctx);
    rules_socket(ctx);
    rules_prctl(ctx);
    rules_personality(ctx);
    rules_fcntl(ctx);
    rules_setsockopt(ctx);
    rules_mknod(ctx);
    rules_limits(ctx);
    rules_memory(ctx);
}

/* Requests of the drivers of GPUs, by the letter in their second byte: NVIDIA's 'F'
 * (nv-ioctl-numbers.h of its open kernel modules), AMD's 'K' (linux/kfd_ioctl.h), 'd' of render
 * nodes (drm/drm.h). NVIDIA's unified memory has bare numbers instead (uvm_ioctl.h,
 * uvm_linux_ioctl.h). Those of terminals are 'T'. */
static void user_gpu_rules(struct rules *ctx)
{
    static const char letters[] = {'F', 'K', 'd'};
    static const unsigned uvm[] = {0x30000001, 0x30000002};
    user_rules(ctx);
    for (size_t i = 0; i < COUNT(letters); i++) {
        struct scmp_arg_cmp a =
            SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00u, (uint64_t)(unsigned char)letters[i] << 8);
        add_rule(ctx, SCMP_ACT_ALLOW, "ioctl", 1, &a);
    }
    for (size_t i = 0; i < COUNT(uvm); i++)
        allow_int(ctx, "ioctl", 1, uvm[i]);
    struct scmp_arg_cmp bare = SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffff00u, 0);
    add_rule(ctx, SCMP_ACT_ALLOW, "ioctl", 1, &bare);
}

static void init_rules(struct rules *ctx)
{
    struct scmp_arg_cmp tcp[] = {SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, AF_INET),
                                 SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM)};
    add_groups(ctx, SCMP_ACT_ALLOW, init_allowed, COUNT(init_allowed));
    add_rule(ctx, SCMP_ACT_ALLOW, "socket", 2, tcp);
}

/* Memory never becomes a program. */
static void rules_data_only(struct rules *ctx)
{
    struct scmp_arg_cmp data = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    add_rule(ctx, SCMP_ACT_ALLOW, "mmap", 1, &data);
    add_rule(ctx, SCMP_ACT_ALLOW, "mprotect", 1, &data);
}

/* Options that visitors' and demos' connections get: no TCP_ULP, no filters (SO_ATTACH_*), nothing
 * of IP. */
static void gateway_rules(struct rules *ctx)
{
    static const struct {
        int level, name;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE},  {SOL_SOCKET, SO_LINGER},
        {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPINTVL},
        {IPPROTO_TCP, TCP_KEEPCNT},  {IPPROTO_TCP, TCP_USER_TIMEOUT},
        {IPPROTO_TCP, TCP_NODELAY},  {IPPROTO_TCP, TCP_CONGESTION},
    };
    static const int commands[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETPIPE_SZ};
    add_groups(ctx, SCMP_ACT_ALLOW, gateway_allowed, COUNT(gateway_allowed));
    for (size_t i = 0; i < COUNT(options); i++) {
        struct scmp_arg_cmp a[] = {SCMP_A1(SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)options[i].level),
                                   SCMP_A2(SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)options[i].name)};
        add_rule(ctx, SCMP_ACT_ALLOW, "setsockopt", 2, a);
    }
    for (size_t i = 0; i < COUNT(commands); i++)
        allow_int(ctx, "fcntl", 1, (uint64_t)commands[i]);
    allow_int(ctx, "ioctl", 1, SIOCOUTQ);
    rules_data_only(ctx);
    /* glibc's malloc looks at /proc/sys/vm/overcommit_memory when a thread's heap shrinks for the
     * first time: there is none, and no file here could be opened. */
    struct scmp_arg_cmp a = SCMP_A2(SCMP_CMP_MASKED_EQ, LOW_32, O_RDONLY | O_CLOEXEC);
    add_rule(ctx, SCMP_ACT_ERRNO(ENOENT), "openat", 1, &a);
}

/* clone makes threads and nothing else. Thread libraries ask for clone3 first, whose flags no
 * filter sees: it does not exist here. */
static void rules_threads(struct rules *ctx)
{
    const uint64_t others = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                            CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_VFORK |
                            CLONE_PTRACE | CLONE_UNTRACED | CLONE_PIDFD;
    const uint64_t thread = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    struct scmp_arg_cmp a = SCMP_A0(SCMP_CMP_MASKED_EQ, others | thread, thread);
    add_rule(ctx, SCMP_ACT_ALLOW, "clone", 1, &a);
    add_rule(ctx, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
}

/* Its connections are Unix sockets; SQLite locks bytes of files; libmicrohttpd names its threads.
 */
static void webui_rules(struct rules *ctx)
{
    static const int commands[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK};
    add_groups(ctx, SCMP_ACT_ALLOW, webui_allowed, COUNT(webui_allowed));
    for (size_t i = 0; i < COUNT(commands); i++)
        allow_int(ctx, "fcntl", 1, (uint64_t)commands[i]);
    allow_int(ctx, "prctl", 0, PR_SET_NAME);
    rules_threads(ctx);
    rules_data_only(ctx);
}

/* Stream sockets of the internet; libcurl asks with a datagram one whether there is IPv6. */
static void egress_rules(struct rules *ctx)
{
    static const struct {
        int level, name;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE},  {SOL_SOCKET, SO_LINGER},      {IPPROTO_TCP, TCP_NODELAY},
        {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPINTVL},
    };
    static const int commands[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL};
    static const int families[] = {AF_INET, AF_INET6};
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    add_groups(ctx, SCMP_ACT_ALLOW, egress_allowed, COUNT(egress_allowed));
    for (size_t i = 0; i < COUNT(options); i++) {
        struct scmp_arg_cmp a[] = {SCMP_A1(SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)options[i].level),
                                   SCMP_A2(SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)options[i].name)};
        add_rule(ctx, SCMP_ACT_ALLOW, "setsockopt", 2, a);
    }
    for (size_t i = 0; i < COUNT(families); i++)
        for (size_t k = 0; k < COUNT(types); k++) {
            struct scmp_arg_cmp a[] = {SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)families[i]),
                                       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, (uint64_t)types[k])};
            add_rule(ctx, SCMP_ACT_ALLOW, "socket", 2, a);
        }
    for (size_t i = 0; i < COUNT(commands); i++)
        allow_int(ctx, "fcntl", 1, (uint64_t)commands[i]);
    rules_data_only(ctx);
}

/* The wider ones have the calls whose arguments are looked at above without conditions. */
static void gateway_sanitized_rules(struct rules *ctx)
{
    add_groups(ctx, SCMP_ACT_ALLOW, gateway_allowed, COUNT(gateway_allowed));
    add_groups(ctx, SCMP_ACT_ALLOW, sanitizer_allowed, COUNT(sanitizer_allowed));
}

static void webui_sanitized_rules(struct rules *ctx)
{
    add_groups(ctx, SCMP_ACT_ALLOW, webui_allowed, COUNT(webui_allowed));
    add_groups(ctx, SCMP_ACT_ALLOW, sanitizer_allowed, COUNT(sanitizer_allowed));
    add_rule(ctx, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
}

static void egress_sanitized_rules(struct rules *ctx)
{
    add_groups(ctx, SCMP_ACT_ALLOW, egress_allowed, COUNT(egress_allowed));
    add_groups(ctx, SCMP_ACT_ALLOW, sanitizer_allowed, COUNT(sanitizer_allowed));
    add_rule(ctx, SCMP_ACT_ALLOW, "socket", 0, NULL);
}

static int set_up(struct rules *ctx)
{
    int r;
    if (ctx->arch != seccomp_arch_native() &&
        ((r = seccomp_arch_remove(ctx->ctx, SCMP_ARCH_NATIVE)) < 0 ||
         (r = seccomp_arch_add(ctx->ctx, ctx->arch)) < 0))
        return err_set(ctx->err, -r, "make a filter for another machine: %s", strerror(-r));
    if ((r = seccomp_attr_set(ctx->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) < 0 ||
        (r = seccomp_attr_set(ctx->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) < 0)
        return err_set(ctx->err, -r, "set up a filter: %s", strerror(-r));
    return 0;
}

/* Libseccomp writes to descriptors only. */
static int export_program(struct rules *ctx, struct sock_filter *out, size_t max)
{
    FILE *f = tmpfile();
    int r = f ? seccomp_export_bpf(ctx->ctx, fileno(f)) : -errno;
    if (r < 0) {
        if (f)
            fclose(f);
        return err_set(ctx->err, -r, "export the filter: %s", strerror(-r));
    }
    rewind(f);
    size_t n = fread(out, sizeof(*out), max, f);
    bool whole = n > 0 && n < max && !ferror(f);
    fclose(f);
    return whole ? (int)n : err_set(ctx->err, E2BIG, "the filter is larger than the kernel takes");
}

int rules_make_plain(enum rules_for who, uint32_t arch, struct sock_filter *out, size_t max,
                     struct err *err)
{
    struct rules ctx = {.arch = arch ? arch : seccomp_arch_native(), .err = err};
    bool user = who == RULES_USER || who == RULES_USER_GPU;
    ctx.ctx = seccomp_init(user ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_KILL_PROCESS);
    if (!ctx.ctx)
        return err_set(err, ENOMEM, "make a filter: out of memory");
    int r = set_up(&ctx);
    static void (*const rules[])(struct rules *) = {
        [RULES_USER] = user_rules,
        [RULES_USER_GPU] = user_gpu_rules,
        [RULES_INIT] = init_rules,
        [RULES_GATEWAY] = gateway_rules,
        [RULES_GATEWAY_SANITIZED] = gateway_sanitized_rules,
        [RULES_WEBUI] = webui_rules,
        [RULES_WEBUI_SANITIZED] = webui_sanitized_rules,
        [RULES_EGRESS] = egress_rules,
        [RULES_EGRESS_SANITIZED] = egress_sanitized_rules,
    };
    if (r == 0)
        rules[who](&ctx);
    if (r == 0)
        r = ctx.failed ? ctx.failed : export_program(&ctx, out, max);
    seccomp_release(ctx.ctx);
    return r;
}

int rules_make(enum rules_for who, uint32_t arch, struct sock_filter *out, size_t max,
               struct err *err)
{
    int n = rules_make_plain(who, arch, out, max, err);
    return n < 0 ? n : filter_compact(out, (size_t)n, max - 1, err);
}

static const char *reason_in(const struct filter_group *groups, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        for (const char *const *call = groups[i].calls; *call; call++)
            if (strcmp(*call, name) == 0)
                return groups[i].reason;
    return NULL;
}

const char *rules_reason(const char *name)
{
    const char *r = reason_in(user_refused, COUNT(user_refused), name);
    if (!r)
        r = reason_in(user_watches, COUNT(user_watches), name);
    return r ? r : reason_in(user_absent, COUNT(user_absent), name);
}

int rules_call_name(uint32_t arch, int nr, char out[48])
{
    char *name = seccomp_syscall_resolve_num_arch(arch ? arch : seccomp_arch_native(), nr);
    int n = name ? snprintf(out, 48, "%s", name) : 0;
    free(name);
    return n > 0 && n < 48 ? 0 : -ENOENT;
}

int rules_call_number(uint32_t arch, const char *name)
{
    int nr = seccomp_syscall_resolve_name_arch(arch, name);
    return nr < 0 ? -ENOENT : nr;
}

/* A call in two lists would have two verdicts, and the library takes the last one silently. */
static int twice_listed(const struct filter_group *a, size_t n_a, const struct filter_group *b,
                        size_t n_b, struct err *err)
{
    for (size_t i = 0; i < n_a; i++)
        for (const char *const *x = a[i].calls; *x; x++)
            if (reason_in(b, n_b, *x))
                return err_set(err, EEXIST, "%s is in two lists", *x);
    return 0;
}

int rules_check(struct err *err)
{
    int r = twice_listed(user_allowed, COUNT(user_allowed), user_refused, COUNT(user_refused), err);
    if (r == 0)
        r = twice_listed(user_allowed, COUNT(user_allowed), user_absent, COUNT(user_absent), err);
    if (r == 0)
        r = twice_listed(user_refused, COUNT(user_refused), user_absent, COUNT(user_absent), err);
    return r;
}
