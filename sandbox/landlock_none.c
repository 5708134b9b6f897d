/* See landlock_none.h. */
#include "landlock_none.h"

#include "common/cleanup.h"
#include "sandbox/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of older systems. */
#define NET_BIND_TCP (1ULL << 0)               /* ABI 4 */
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset_attr {
    uint64_t handled_fs, handled_net, scoped;
};

/* The rights to files that an ABI knows: bits from 0 up. */
static uint64_t all_of_files(int abi)
{
    int bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
    return (1ULL << bits) - 1;
}

int landlock_abi(void)
{
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < 0 ? -errno : abi;
}

int landlock_nothing(struct err *err)
{
    int abi = landlock_abi();
    if (abi < 1)
        return 0;
    struct ruleset_attr attr = {.handled_fs = all_of_files(abi)};
    if (abi >= 4)
        attr.handled_net = NET_BIND_TCP;
    if (abi >= 6)
        attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    _cleanup_close_ int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (ruleset < 0)
        return err_errno(err, "make a ruleset");
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return err_errno(err, "restrict itself");
    return 0;
}
