/* See trace.h: arguments in words. Numbers that the filter looks at get their names, paths and
 * addresses are read out of the program's memory. */
#include "trace.h"

#include "sandbox/filter.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <fcntl.h>

struct name {
    uint64_t value;
    const char *name;
};
#define NAMED(x)                                                                                   \
    {                                                                                              \
        x, #x                                                                                      \
    }

static const struct name families[] = {
    NAMED(AF_UNIX), NAMED(AF_INET),  NAMED(AF_INET6),     NAMED(AF_NETLINK), NAMED(AF_PACKET),
    NAMED(AF_ALG),  NAMED(AF_VSOCK), NAMED(AF_BLUETOOTH), NAMED(AF_CAN),     NAMED(AF_KEY),
    NAMED(AF_TIPC), NAMED(AF_XDP),   {0, NULL},
};
static const struct name types[] = {
    NAMED(SOCK_STREAM), NAMED(SOCK_DGRAM), NAMED(SOCK_RAW), NAMED(SOCK_SEQPACKET), {0, NULL}};
static const struct name ioctls[] = {NAMED(TIOCSTI),    NAMED(TIOCLINUX),    NAMED(TIOCSCTTY),
                                     NAMED(TIOCSWINSZ), NAMED(TIOCSETD),     NAMED(TIOCNOTTY),
                                     NAMED(TIOCSPGRP),  NAMED(TCSETS),       NAMED(TCSETSW),
                                     NAMED(TCSETSF),    NAMED(SIOCSIFFLAGS), {0, NULL}};
#ifndef PR_SCHED_CORE /* newer than some libc's header */
#define PR_SCHED_CORE 62
#endif
static const struct name options[] = {NAMED(PR_SET_MM),       NAMED(PR_SET_SECUREBITS),
                                      NAMED(PR_CAPBSET_DROP), NAMED(PR_SET_PTRACER),
                                      NAMED(PR_SET_KEEPCAPS), NAMED(PR_SCHED_CORE),
                                      NAMED(PR_SET_UNALIGN),  NAMED(PR_MCE_KILL),
                                      NAMED(PR_SET_TSC),      {0, NULL}};
static const struct name commands[] = {
    NAMED(F_NOTIFY), NAMED(F_SETLEASE), NAMED(F_GETLEASE), {0, NULL}};
static const struct name namespaces[] = {
    NAMED(CLONE_NEWNS),   NAMED(CLONE_NEWCGROUP), NAMED(CLONE_NEWUTS), NAMED(CLONE_NEWIPC),
    NAMED(CLONE_NEWUSER), NAMED(CLONE_NEWPID),    NAMED(CLONE_NEWNET), {0, NULL}};
static const struct name kinds[] = {NAMED(S_IFCHR), NAMED(S_IFBLK), NAMED(S_IFIFO), {0, NULL}};

static void put_named(FILE *f, const struct name *names, uint64_t value)
{
    for (; names->name; names++)
        if (names->value == value) {
            fputs(names->name, f);
            return;
        }
    fprintf(f, "%#llx", (unsigned long long)value);
}

/* Bytes of the program's memory: how many could be had. */
static size_t peek(pid_t tid, uint64_t address, void *out, size_t size)
{
    struct iovec to = {.iov_base = out, .iov_len = size};
    struct iovec from = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
    ssize_t n = process_vm_readv(tid, &to, 1, &from, 1, 0);
    return n > 0 ? (size_t)n : 0;
}

static void put_path(FILE *f, pid_t tid, uint64_t address)
{
    char text[128];
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t here = page - (size_t)(address % page); /* the next page need not be there */
    size_t n = peek(tid, address, text, here < sizeof(text) ? here : sizeof(text));
    if (n == here && n < sizeof(text) && !memchr(text, '\0', n))
        n += peek(tid, address + n, text + n, sizeof(text) - n);
    for (size_t i = 0; i < n && text[i]; i++)
        putc(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?', f);
}

static void put_address(FILE *f, pid_t tid, uint64_t address, uint64_t len)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } a = {0};
    char text[INET6_ADDRSTRLEN];
    (void)peek(tid, address, &a, len < sizeof(a) ? (size_t)len : sizeof(a));
    if (a.any.sa_family == AF_INET)
        fprintf(f, "%s:%u", inet_ntop(AF_INET, &a.in.sin_addr, text, sizeof(text)),
                ntohs(a.in.sin_port));
    else if (a.any.sa_family == AF_INET6)
        fprintf(f, "[%s]:%u", inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof(text)),
                ntohs(a.in6.sin6_port));
    else if (a.any.sa_family == AF_UNIX && a.un.sun_path[0])
        put_path(f, tid, address + offsetof(struct sockaddr_un, sun_path));
    else
        put_named(f, families, a.any.sa_family);
}

static void put_namespaces(FILE *f, uint64_t flags)
{
    const char *between = "";
    for (const struct name *n = namespaces; n->name; n++)
        if (flags & n->value) {
            fprintf(f, "%s%s", between, n->name);
            between = "|";
        }
}

/* Which argument of a call is a path. */
static const struct {
    const char *name;
    int arg;
} paths[] = {
    {"open", 0},       {"openat", 1},     {"openat2", 1},    {"creat", 0},
    {"execve", 0},     {"mkdir", 0},      {"mkdirat", 1},    {"rmdir", 0},
    {"unlink", 0},     {"unlinkat", 1},   {"rename", 1},     {"renameat", 3},
    {"renameat2", 3},  {"link", 1},       {"linkat", 3},     {"symlink", 1},
    {"symlinkat", 2},  {"chmod", 0},      {"fchmodat", 1},   {"chown", 0},
    {"lchown", 0},     {"fchownat", 1},   {"truncate", 0},   {"utimensat", 1},
    {"access", 0},     {"faccessat", 1},  {"faccessat2", 1}, {"stat", 0},
    {"lstat", 0},      {"newfstatat", 1}, {"statx", 1},      {"readlink", 0},
    {"readlinkat", 1}, {"chdir", 0},      {"mknod", 0},      {"mount", 1},
    {"umount2", 0},    {"chroot", 0},     {"setxattr", 0},   {"inotify_add_watch", 1},
};

static void put_arguments(FILE *f, pid_t tid, const char *name, const uint64_t a[6])
{
    uint32_t low[6];
    for (int i = 0; i < 6; i++)
        low[i] = (uint32_t)a[i];
    if (strcmp(name, "socket") == 0 || strcmp(name, "socketpair") == 0) {
        put_named(f, families, low[0]);
        fputs(", ", f);
        put_named(f, types, low[1] & 0xf);
        fprintf(f, ", %u", low[2]);
    } else if (strcmp(name, "clone") == 0 || strcmp(name, "unshare") == 0) {
        put_namespaces(f, a[0]);
    } else if (strcmp(name, "setns") == 0) {
        put_namespaces(f, a[1]);
    } else if (strcmp(name, "ioctl") == 0) {
        put_named(f, ioctls, low[1]);
    } else if (strcmp(name, "prctl") == 0) {
        put_named(f, options, low[0]);
    } else if (strcmp(name, "fcntl") == 0) {
        put_named(f, commands, low[1]);
    } else if (strcmp(name, "personality") == 0) {
        fprintf(f, "%#x", low[0]);
    } else if (strcmp(name, "setsockopt") == 0) {
        fprintf(f, "level %u, option %u", low[1], low[2]);
    } else if (strcmp(name, "mknodat") == 0) {
        put_named(f, kinds, low[2] & S_IFMT);
        fputs(", ", f);
        put_path(f, tid, a[1]);
    } else if (strcmp(name, "connect") == 0 || strcmp(name, "bind") == 0) {
        put_address(f, tid, a[1], a[2]);
    } else if (strcmp(name, "sendto") == 0 && a[4]) {
        put_address(f, tid, a[4], a[5]);
    } else {
        for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
            if (strcmp(name, paths[i].name) == 0)
                put_path(f, tid, a[paths[i].arg]);
    }
}

void trace_describe(pid_t tid, int nr, const uint64_t args[6], char out[160])
{
    out[0] = '\0';
    if (nr < 0 || nr >= FILTER_CALLS || !filter_calls[nr].name)
        return;
    FILE *f = fmemopen(out, 160, "w");
    if (!f)
        return;
    put_arguments(f, tid, filter_calls[nr].name, args);
    fclose(f);
    out[159] = '\0';
}
