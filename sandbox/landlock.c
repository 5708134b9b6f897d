/* See landlock.h. Reading and running are not handled: the root holds nothing that is to be hidden,
 * and what is not handled costs nothing. Nor are ioctls of devices (every mount of the program's is
 * nodev, but for devices that are there for their ioctls) and TCP ports (there is loopback only).
 */
#include "landlock.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of older systems. */
#define ACCESS_TRUNCATE (1ULL << 14) /* ABI 3 */
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1) /* both: ABI 6 */

struct ruleset_attr {
    uint64_t handled_fs, handled_net, scoped;
};

#define TO_FILES (LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
#define TO_FOLDERS                                                                                 \
    (LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                              \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |    \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
#define TO_NOBODY (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

static const char *const folders[] = {"/tmp", "/dev/shm", SPEC_HOME};
static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                      "/dev/urandom"};

/* Not all of the two: what this kernel handles. */
static uint64_t handled(int abi)
{
    uint64_t all = TO_FILES | TO_FOLDERS | TO_NOBODY;
    return abi < 3 ? all & ~ACCESS_TRUNCATE : all;
}

static int allow(int rules, const char *path, uint64_t access, struct err *err)
{
    _cleanup_close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, "look at %s", path);
    struct landlock_path_beneath_attr attr = {
        .allowed_access = access & (S_ISDIR(st.st_mode) ? TO_FILES | TO_FOLDERS : TO_FILES),
        .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0)
        return err_errno(err, "allow writing to %s", path);
    return 0;
}

int landlock_prepare(int *ret, struct err *err)
{
    int abi = landlock_abi();
    *ret = -1;
    if (abi < LANDLOCK_MIN_ABI)
        return 0;
    struct ruleset_attr attr = {.handled_fs = handled(abi)};
    if (abi >= 6)
        attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    /* a kernel that does not know the later fields takes them while they are 0 */
    _cleanup_close_ int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (rules < 0)
        return err_errno(err, "make a ruleset");
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(devices) / sizeof(*devices); i++)
        r = allow(rules, devices[i], attr.handled_fs, err);
    if (r == 0)
        *ret = steal_fd(&rules);
    return r;
}

int landlock_apply(int rules, const struct sandbox_spec *s, struct err *err)
{
    if (rules < 0)
        return 0;
    uint64_t rights = handled(landlock_abi());
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(folders) / sizeof(*folders); i++)
        r = allow(rules, folders[i], rights, err);
    for (size_t i = 0; r == 0 && spec_root_is_writable(s) && i < SPEC_WRITABLE_FOLDERS; i++)
        if (access(spec_writable_folders[i], F_OK) == 0)
            r = allow(rules, spec_writable_folders[i], rights, err);
    for (int i = 0; r == 0 && i < s->n_mounts; i++)
        if (s->mounts[i].writable || s->mounts[i].device)
            r = allow(rules, s->mounts[i].dst, rights, err);
    if (r == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        r = err_errno(err, "restrict itself");
    return r;
}
