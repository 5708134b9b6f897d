/* The kernel's surface: calls and sockets that only an attacker has a use for, and its switches. */
#include "tests/attack/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

static bool bpf_map(const struct attempt *a)
{
    (void)a;
    union bpf_attr attr = {
        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)) >= 0;
}

static bool perf(const struct attempt *a)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof(attr),
                                   .config = PERF_COUNT_SW_TASK_CLOCK,
                                   .exclude_kernel = 1};
    return syscall(SYS_perf_event_open, &attr, (int)a->n, a->n < 0 ? 0 : -1, -1, 0) >= 0;
}

static bool io_uring(const struct attempt *a)
{
    (void)a;
    char params[120] = {0};
    return syscall(SYS_io_uring_setup, 1, params) >= 0;
}

static bool userfault(const struct attempt *a)
{
    return syscall(SYS_userfaultfd, (int)a->n | O_CLOEXEC) >= 0;
}

/* Calls whose arguments are wrong in a way that is looked at after the rights. */
static bool bare_call(const struct attempt *a)
{
    return past_check(syscall(a->n, 0, 0, 0, 0, 0, 0));
}

static bool call_reboot(const struct attempt *a)
{
    (void)a;
    return past_check(syscall(SYS_reboot, 0, 0, 0, 0));
}

static bool call_swapon(const struct attempt *a)
{
    (void)a;
    return past_check(syscall(SYS_swapon, "/nonexistent", 0));
}

static bool set_clock(const struct attempt *a)
{
    (void)a;
    struct timex t = {.modes = ADJ_TICK, .tick = 0};
    return past_check(syscall(SYS_adjtimex, &t));
}

static bool ports(const struct attempt *a)
{
    return a->n ? syscall(SYS_iopl, 3) == 0 : syscall(SYS_ioperm, 0x80, 1, 1) == 0;
}

static bool hostname(const struct attempt *a)
{
    (void)a;
    return sethostname("attacked", 8) == 0;
}

static bool executable_personality(const struct attempt *a)
{
    return personality((unsigned long)a->n) >= 0;
}

static bool other_abi(const struct attempt *a)
{
#ifdef __x86_64__
    if (a->n) { /* x32's numbers */
        long r = syscall(0x40000000 | SYS_getpid);
        return r > 0;
    }
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory"); /* i386's getpid */
    return r > 0;
#else
    (void)a;
    return false;
#endif
}

static bool open_socket(const struct attempt *a)
{
    return socket((int)a->n & 0xff, (int)a->n >> 8 & 0xff, (int)(a->n >> 16)) >= 0;
}
#define SOCKET(family, type, protocol) ((family) | (type) << 8 | (protocol) << 16)

static bool keys(const struct attempt *a)
{
    static const char text[] = "x";
    switch (a->n) {
    case SYS_add_key:
        return syscall(SYS_add_key, "user", "attack", text, 1, -2) >= 0;
    case SYS_request_key:
        return syscall(SYS_request_key, "user", "vitrine-attack", NULL, 0) >= 0;
    default:
        return syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -4, 0) >= 0;
    }
}

static bool read_key(const struct attempt *a)
{
    (void)a;
    char data[256];
    long serial = canary_number("KEY");
    long n =
        serial < 0 ? -1 : syscall(SYS_keyctl, 11 /* KEYCTL_READ */, serial, data, sizeof(data));
    return n > 0 && has_token(data, (size_t)n);
}

static bool open_switch(const struct attempt *a)
{
    return can_open(a->path, (int)a->n);
}

static bool secret_memory(const struct attempt *a)
{
    (void)a;
    return syscall(SYS_memfd_secret, 0) >= 0;
}

static bool fanotify(const struct attempt *a)
{
    (void)a;
    return syscall(SYS_fanotify_init, 0x200 /* FAN_REPORT_FID */, O_RDONLY) >= 0;
}

/* Keys pressed for whoever reads the terminal; the suite's is a pseudo terminal of its own. */
static bool type_into_terminal(const struct attempt *a)
{
    char c = '!';
    for (int fd = 0; fd < 3; fd++)
        if (syscall(SYS_ioctl, fd, (unsigned long)a->n, &c) == 0)
            return true;
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
    return tty >= 0 && syscall(SYS_ioctl, tty, (unsigned long)a->n, &c) == 0;
}

static const struct attempt list[] = {
    {"bpf-map", bpf_map, NULL, 0},
    {"perf-own", perf, NULL, 0},
    {"perf-whole-cpu", perf, NULL, -1},
    {"io-uring", io_uring, NULL, 0},
    {"userfaultfd", userfault, NULL, 0},
    {"userfaultfd-user-mode", userfault, NULL, UFFD_USER_MODE_ONLY},
    {"memfd-secret", secret_memory, NULL, 0},
    {"fanotify", fanotify, NULL, 0},
    {"init-module", bare_call, NULL, SYS_init_module},
    {"finit-module", bare_call, NULL, SYS_finit_module},
    {"delete-module", bare_call, NULL, SYS_delete_module},
    {"kexec-load", bare_call, NULL, SYS_kexec_load},
    {"process-accounting", bare_call, NULL, SYS_acct},
    {"quotactl", bare_call, NULL, SYS_quotactl},
    {"kcmp", bare_call, NULL, SYS_kcmp},
    {"lookup-dcookie", bare_call, NULL, SYS_lookup_dcookie},
    {"vhangup", bare_call, NULL, SYS_vhangup},
    {"reboot", call_reboot, NULL, 0},
    {"swapon", call_swapon, NULL, 0},
    {"set-clock", set_clock, NULL, 0},
#ifdef __x86_64__
    {"iopl", ports, NULL, 1},
    {"ioperm", ports, NULL, 0},
    {"modify-ldt", bare_call, NULL, SYS_modify_ldt},
#endif
    {"set-hostname", hostname, NULL, 0},
    {"personality-read-implies-exec", executable_personality, NULL, READ_IMPLIES_EXEC},
    {"personality-no-randomization", executable_personality, NULL, ADDR_NO_RANDOMIZE},
    {"i386-calls", other_abi, NULL, 0},
    {"x32-calls", other_abi, NULL, 1},
    {"socket-packet", open_socket, NULL, SOCKET(AF_PACKET, SOCK_RAW, 0)},
    {"socket-raw-icmp", open_socket, NULL, SOCKET(AF_INET, SOCK_RAW, 1)},
    {"socket-raw-ipv6", open_socket, NULL, SOCKET(AF_INET6, SOCK_RAW, 58)},
    {"socket-vsock", open_socket, NULL, SOCKET(AF_VSOCK, SOCK_STREAM, 0)},
    {"socket-alg", open_socket, NULL, SOCKET(AF_ALG, SOCK_SEQPACKET, 0)},
    {"socket-xdp", open_socket, NULL, SOCKET(AF_XDP, SOCK_RAW, 0)},
    {"socket-key", open_socket, NULL, SOCKET(AF_KEY, SOCK_RAW, 2)},
    {"socket-can", open_socket, NULL, SOCKET(AF_CAN, SOCK_RAW, 1)},
    {"socket-tipc", open_socket, NULL, SOCKET(AF_TIPC, SOCK_STREAM, 0)},
    {"socket-rds", open_socket, NULL, SOCKET(AF_RDS, SOCK_SEQPACKET, 0)},
    {"socket-bluetooth", open_socket, NULL, SOCKET(AF_BLUETOOTH, SOCK_RAW, 1)},
    {"socket-sctp", open_socket, NULL, SOCKET(AF_INET, SOCK_STREAM, 132)},
    {"socket-mptcp", open_socket, NULL, SOCKET(AF_INET, SOCK_STREAM, 262)},
    {"netlink-uevent", open_socket, NULL, SOCKET(AF_NETLINK, SOCK_RAW, 15)},
    {"netlink-audit", open_socket, NULL, SOCKET(AF_NETLINK, SOCK_RAW, 9)},
    {"netlink-netfilter", open_socket, NULL, SOCKET(AF_NETLINK, SOCK_RAW, 12)},
    {"netlink-generic", open_socket, NULL, SOCKET(AF_NETLINK, SOCK_RAW, 16)},
    {"netlink-xfrm", open_socket, NULL, SOCKET(AF_NETLINK, SOCK_RAW, 6)},
    {"netlink-sock-diag", open_socket, NULL, SOCKET(AF_NETLINK, SOCK_RAW, 4)},
    {"add-key", keys, NULL, SYS_add_key},
    {"request-key", keys, NULL, SYS_request_key},
    {"session-keyring", keys, NULL, SYS_keyctl},
    {"read-canary-key", read_key, NULL, 0},
    {"core-pattern", open_switch, "/proc/sys/kernel/core_pattern", O_WRONLY},
    {"modprobe-path", open_switch, "/proc/sys/kernel/modprobe", O_WRONLY},
    {"sysctl-hostname", open_switch, "/proc/sys/kernel/hostname", O_WRONLY},
    {"sysctl-userns-limit", open_switch, "/proc/sys/user/max_user_namespaces", O_WRONLY},
    {"sysctl-ip-forward", open_switch, "/proc/sys/net/ipv4/ip_forward", O_WRONLY},
    {"drop-caches", open_switch, "/proc/sys/vm/drop_caches", O_WRONLY},
    {"sysrq-trigger", open_switch, "/proc/sysrq-trigger", O_WRONLY},
    {"binfmt-register", open_switch, "/proc/sys/fs/binfmt_misc/register", O_WRONLY},
    {"irq-affinity", open_switch, "/proc/irq/default_smp_affinity", O_WRONLY},
    {"mtrr", open_switch, "/proc/mtrr", O_WRONLY},
    {"pressure-trigger", open_switch, "/proc/pressure/cpu", O_RDWR},
    {"uevent-helper", open_switch, "/sys/kernel/uevent_helper", O_WRONLY},
    {"dev-mem", open_switch, "/dev/mem", O_RDONLY},
    {"dev-kmsg", open_switch, "/dev/kmsg", O_RDONLY},
    {"dev-fuse", open_switch, "/dev/fuse", O_RDWR},
    {"dev-kvm", open_switch, "/dev/kvm", O_RDWR},
    {"dev-tun", open_switch, "/dev/net/tun", O_RDWR},
    {"dev-loop-control", open_switch, "/dev/loop-control", O_RDWR},
    {"dev-disk", open_switch, "/dev/vda", O_RDONLY},
    {"dev-console", open_switch, "/dev/console", O_RDWR},
    {"terminal-type", type_into_terminal, NULL, 0x5412 /* TIOCSTI */},
    {"terminal-type-high-bits", type_into_terminal, NULL, 0x5412 | 1L << 40},
    {"terminal-paste", type_into_terminal, NULL, 0x541c /* TIOCLINUX */},
};
const struct attempt_group kernel_group = {"kernel", list, sizeof(list) / sizeof(*list)};
