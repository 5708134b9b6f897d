/* objects: sandbox/net_relay_filter.o sandbox/filter_verdict.o
 * What the relay may not call, by this machine's table of calls and by others. */
#include "sandbox/net_relay.h"
#include "unit.h"

#include <errno.h>
#include <linux/audit.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define EPERM_VERDICT (SECCOMP_RET_ERRNO | EPERM)
#define KILL SECCOMP_RET_KILL_PROCESS

static uint32_t own_arch(void)
{
#if defined(__x86_64__)
    return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    return AUDIT_ARCH_AARCH64;
#else
    return AUDIT_ARCH_RISCV64;
#endif
}

static uint32_t verdict(uint32_t arch, int nr, uint64_t arg)
{
    struct seccomp_data call = {.nr = nr, .arch = arch, .args = {arg}};
    return filter_verdict(&net_relay_filter, &call);
}

static void internet_sockets_alone(void **state)
{
    (void)state;
    uint32_t own = own_arch();
    assert_int_equal(verdict(own, SYS_socket, AF_INET), SECCOMP_RET_ALLOW);
    assert_int_equal(verdict(own, SYS_socket, AF_INET6), SECCOMP_RET_ALLOW);
    assert_int_equal(verdict(own, SYS_socket, AF_UNIX), EPERM_VERDICT);
    assert_int_equal(verdict(own, SYS_socket, AF_NETLINK), EPERM_VERDICT);
    assert_int_equal(verdict(own, SYS_socket, AF_UNIX | 1ull << 32), EPERM_VERDICT);
    assert_int_equal(verdict(own, SYS_read, 0), SECCOMP_RET_ALLOW);
}

static void closed_doors(void **state)
{
    (void)state;
    static const int calls[] = {SYS_keyctl,         SYS_add_key,     SYS_request_key, SYS_bpf,
                                SYS_io_uring_setup, SYS_userfaultfd, SYS_ptrace};
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
        assert_int_equal(verdict(own_arch(), calls[i], 0), EPERM_VERDICT);
}

/* The numbers mean other calls there: 102 makes sockets of all kinds for i386. */
static void other_tables_kill(void **state)
{
    (void)state;
    assert_int_equal(verdict(AUDIT_ARCH_I386, 102, 1), KILL);
    assert_int_equal(verdict(AUDIT_ARCH_ARM, SYS_read, 0), KILL);
    assert_int_equal(verdict(own_arch(), 0x40000000 + SYS_socket, AF_UNIX), KILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(internet_sockets_alone),
        cmocka_unit_test(closed_doors),
        cmocka_unit_test(other_tables_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
