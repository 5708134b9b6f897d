/* See filter.h; the lists are in filter_lists.h, the rules on arguments here. */
#include "filter.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "sandbox/filter_lists.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOW_32 0xffffffffu /* what the kernel looks at of an int argument (CVE-2019-10063) */
#define MAX_INSTRUCTIONS 4096

static void free_filter(scmp_filter_ctx *ctx)
{
    if (*ctx)
        seccomp_release(*ctx);
}
#define _cleanup_filter_ _cleanup_(free_filter)

static int filter_error(int r, const char *what, const char *name, struct err *err)
{
    return err_set(err, -r, "%s%s: %s", what, name, strerror(-r));
}

static int add_rule(scmp_filter_ctx ctx, uint32_t action, const char *name, unsigned n,
                    const struct scmp_arg_cmp *args, struct err *err)
{
    int nr = seccomp_syscall_resolve_name(name);
    if (nr < 0) /* not a call of this architecture, or newer than the library */
        return 0;
    int r = seccomp_rule_add_array(ctx, action, nr, n, args);
    return r < 0 ? filter_error(r, "rule for ", name, err) : 0;
}

static int add_groups(scmp_filter_ctx ctx, uint32_t action, const struct filter_group *groups,
                      size_t n, struct err *err)
{
    int r = 0;
    for (size_t i = 0; i < n; i++)
        for (const char *const *call = groups[i].calls; r == 0 && *call; call++)
            r = add_rule(ctx, action, *call, 0, NULL, err);
    return r;
}

static int allow_if(scmp_filter_ctx ctx, const char *name, struct scmp_arg_cmp a, struct err *err)
{
    return add_rule(ctx, SCMP_ACT_ALLOW, name, 1, &a, err);
}

static int allow_int(scmp_filter_ctx ctx, const char *name, unsigned arg, uint64_t value,
                     struct err *err)
{
    struct scmp_arg_cmp a = SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, LOW_32, value);
    return add_rule(ctx, SCMP_ACT_ALLOW, name, 1, &a, err);
}

/* Threads and processes, no namespaces. clone3 hides its flags in memory where no filter can see
 * them, so it does not exist here (not listed: ENOSYS; EPERM breaks thread libraries). */
static int rules_clone(scmp_filter_ctx ctx, struct err *err)
{
    const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    return allow_if(ctx, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0), err);
}

/* Requests on what a demo has: files, pipes, sockets. TIOCSTI and TIOCLINUX (typing into a
 * terminal) are not among them, nor is any device's. */
static int rules_ioctl(scmp_filter_ctx ctx, struct err *err)
{
    static const unsigned long requests[] = {
        FIONREAD,       FIONBIO,      FIOCLEX,       FIONCLEX,       FIOASYNC,
        TCGETS,         TIOCGWINSZ,   TIOCGPGRP,     TIOCOUTQ,       FS_IOC_GETFLAGS,
        FICLONE,        FICLONERANGE, FS_IOC_FIEMAP, SIOCATMARK,     SIOCGIFNAME,
        SIOCGIFINDEX,   SIOCGIFCONF,  SIOCGIFFLAGS,  SIOCGIFADDR,    SIOCGIFBRDADDR,
        SIOCGIFNETMASK, SIOCGIFMTU,   SIOCGIFHWADDR, SIOCGIFDSTADDR, SIOCETHTOOL,
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(requests) / sizeof(*requests); i++)
        r = allow_int(ctx, "ioctl", 1, requests[i], err);
    return r;
}

/* Unix, TCP and UDP, and asking for addresses by netlink. No raw, packet, vsock, crypto or other
 * sockets, no other netlink, no SCTP or the like. */
static int rules_socket(scmp_filter_ctx ctx, struct err *err)
{
    static const int families[] = {AF_INET, AF_INET6};
    static const struct {
        int type, protocol;
    } kinds[] = {
        {SOCK_STREAM, 0}, {SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, 0}, {SOCK_DGRAM, IPPROTO_UDP}};
    const uint64_t type_mask = 0xf; /* the rest of it are SOCK_CLOEXEC and SOCK_NONBLOCK */
    int r = allow_int(ctx, "socket", 0, AF_UNIX, err);
    for (size_t f = 0; f < 2; f++)
        for (size_t k = 0; r == 0 && k < sizeof(kinds) / sizeof(*kinds); k++) {
            struct scmp_arg_cmp a[] = {
                SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)families[f]),
                SCMP_A1(SCMP_CMP_MASKED_EQ, type_mask, (uint64_t)kinds[k].type),
                SCMP_A2(SCMP_CMP_MASKED_EQ, LOW_32, (uint64_t)kinds[k].protocol)};
            r = add_rule(ctx, SCMP_ACT_ALLOW, "socket", 3, a, err);
        }
    struct scmp_arg_cmp route[] = {SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, AF_NETLINK),
                                   SCMP_A2(SCMP_CMP_MASKED_EQ, LOW_32, NETLINK_ROUTE)};
    if (r == 0)
        r = add_rule(ctx, SCMP_ACT_ALLOW, "socket", 2, route, err);
    return r < 0 ? r : allow_int(ctx, "socketpair", 0, AF_UNIX, err);
}

static int rules_prctl(scmp_filter_ctx ctx, struct err *err)
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
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(options) / sizeof(*options); i++)
        r = allow_int(ctx, "prctl", 0, (uint64_t)options[i], err);
    return r;
}

/* Asking, and the plain Linux ones. */
static int rules_personality(scmp_filter_ctx ctx, struct err *err)
{
    static const uint32_t values[] = {PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26,
                                      0xffffffffu};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(values) / sizeof(*values); i++)
        r = allow_int(ctx, "personality", 0, values[i], err);
    return r;
}

/* A filter's BPF, by way of a memfd: libseccomp writes to descriptors only. */
static int export_program(scmp_filter_ctx ctx, struct filter_program *ret, struct err *err)
{
    _cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "make a memfd");
    int r = seccomp_export_bpf(ctx, fd);
    if (r < 0)
        return filter_error(r, "export the filter", "", err);
    off_t bytes = lseek(fd, 0, SEEK_END);
    if (bytes <= 0 || bytes % (off_t)sizeof(struct sock_filter) ||
        bytes / (off_t)sizeof(struct sock_filter) > MAX_INSTRUCTIONS)
        return err_set(err, E2BIG, "the filter has %lld bytes, more than the kernel takes",
                       (long long)bytes);
    _cleanup_free_ struct sock_filter *code = malloc((size_t)bytes);
    if (!code)
        return err_set(err, ENOMEM, "out of memory");
    if (lseek(fd, 0, SEEK_SET) < 0 || read_all(fd, code, (size_t)bytes) != bytes)
        return err_set(err, EIO, "read the filter back");
    ret->len = (unsigned short)((size_t)bytes / sizeof(struct sock_filter));
    ret->code = steal_ptr(code);
    return 0;
}

static int new_filter(uint32_t otherwise, scmp_filter_ctx *ret, struct err *err)
{
    _cleanup_filter_ scmp_filter_ctx ctx = seccomp_init(otherwise);
    if (!ctx)
        return err_set(err, ENOMEM, "make a filter");
    int r;
    if ((r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) < 0 ||
        (r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) < 0)
        return filter_error(r, "set up the filter", "", err);
    *ret = steal_ptr(ctx);
    return 0;
}

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

int filter_compile_user(struct filter_program *ret, struct err *err)
{
    _cleanup_filter_ scmp_filter_ctx ctx = NULL;
    int r = new_filter(SCMP_ACT_ERRNO(ENOSYS), &ctx, err);
    if (r < 0)
        return r;
    if ((r = add_groups(ctx, SCMP_ACT_ALLOW, user_allowed, COUNT(user_allowed), err)) < 0 ||
        (r = add_groups(ctx, SCMP_ACT_ERRNO(EPERM), user_refused, COUNT(user_refused), err)) < 0 ||
        (r = rules_clone(ctx, err)) < 0 || (r = rules_ioctl(ctx, err)) < 0 ||
        (r = rules_socket(ctx, err)) < 0 || (r = rules_prctl(ctx, err)) < 0 ||
        (r = rules_personality(ctx, err)) < 0)
        return r;
    return export_program(ctx, ret, err);
}

int filter_compile_init(struct filter_program *ret, struct err *err)
{
    _cleanup_filter_ scmp_filter_ctx ctx = NULL;
    int r = new_filter(SCMP_ACT_KILL_PROCESS, &ctx, err);
    if (r < 0)
        return r;
    struct scmp_arg_cmp tcp[] = {SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, AF_INET),
                                 SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM)};
    if ((r = add_groups(ctx, SCMP_ACT_ALLOW, init_allowed, COUNT(init_allowed), err)) < 0 ||
        (r = add_rule(ctx, SCMP_ACT_ALLOW, "socket", 2, tcp, err)) < 0)
        return r;
    return export_program(ctx, ret, err);
}

void filter_free(struct filter_program *p)
{
    free(p->code);
    *p = (struct filter_program){0};
}

int filter_load(const struct filter_program *p, struct err *err)
{
    struct sock_fprog prog = {.len = p->len, .filter = p->code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
        return err_errno(err, "load the filter of %u instructions", p->len);
    return 0;
}
