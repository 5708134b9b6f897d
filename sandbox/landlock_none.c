/* See landlock_none.h. */
#include "landlock_none.h"

#include "common/cleanup.h"
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of older systems. */
#define TRUNCATE (1ULL << 14)                  /* ABI 3 */
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

static int allow(int ruleset, const char *path, uint64_t access, struct err *err)
{
    _cleanup_close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct landlock_path_beneath_attr attr = {.allowed_access = access, .parent_fd = fd};
    if (fd < 0 || syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0)
        return err_errno(err, "allow %s", path);
    return 0;
}

int landlock_nothing_but(const char *const files[SERVICE_PLACES],
                         const char *const folders[SERVICE_PLACES], struct err *err)
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
    int r = 0;
    for (size_t i = 0; r == 0 && i < SERVICE_PLACES && files[i]; i++)
        r = allow(ruleset, files[i], LANDLOCK_ACCESS_FS_READ_FILE, err);
    for (size_t i = 0; r == 0 && i < SERVICE_PLACES && folders[i]; i++)
        r = allow(ruleset, folders[i],
                  attr.handled_fs &
                      (LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_READ_FILE |
                       LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | TRUNCATE),
                  err);
    if (r < 0)
        return r;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return err_errno(err, "restrict itself");
    return 0;
}
