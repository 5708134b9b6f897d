/* See creds.h. The order is the one that leaves no way back: bounding set, groups, gid, uid,
 * capabilities. */
#include "creds.h"

#include "sandbox/spec.h"

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int creds_become_root(struct err *err)
{
    if (setgroups(0, NULL) < 0)
        return err_errno(err, "empty the group list");
    if (setresgid(0, 0, 0) < 0)
        return err_errno(err, "become group 0 of the sandbox");
    if (setresuid(0, 0, 0) < 0)
        return err_errno(err, "become user 0 of the sandbox");
    /* changing the uid made this process undumpable, and with it /proc/self another's; nobody but
     * us is in this sandbox yet */
    if (prctl(PR_SET_DUMPABLE, 1) < 0)
        return err_errno(err, "keep /proc/self while the sandbox is made");
    return 0;
}

static int drop_bounding_set(struct err *err)
{
    unsigned long cap = 0;
    while (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
        cap++;
    if (errno != EINVAL || cap <= CAP_AUDIT_READ) /* EINVAL: the kernel knows no more of them */
        return err_errno(err, "drop capability %lu from the bounding set", cap);
    return 0;
}

/* By the bare call: libcap's own state would be allocated for two fixed words. */
static int set_capabilities(uint32_t low, struct err *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = low, .permitted = low}};
    if (syscall(SYS_capset, &head, data) < 0)
        return err_errno(err, "give up capabilities");
    return 0;
}

static int lock_securebits(struct err *err)
{
    unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                         SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED | SECBIT_KEEP_CAPS_LOCKED;
    if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
        return err_errno(err, "lock the secure bits");
    return 0;
}

int creds_drop_bounds(struct err *err)
{
    int r = lock_securebits(err);
    return r < 0 ? r : drop_bounding_set(err);
}

int creds_become_user(struct err *err)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return err_errno(err, "clear the ambient capabilities");
    if (setgroups(0, NULL) < 0)
        return err_errno(err, "empty the group list");
    if (setresgid(SPEC_UID, SPEC_UID, SPEC_UID) < 0)
        return err_errno(err, "become group %d", SPEC_UID);
    if (setresuid(SPEC_UID, SPEC_UID, SPEC_UID) < 0)
        return err_errno(err, "become user %d", SPEC_UID);
    return set_capabilities(0, err);
}

int creds_settle_init(struct err *err)
{
    int r = set_capabilities(1u << CAP_KILL, err);
    if (r < 0)
        return r;
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return err_errno(err, "become undumpable");
    return 0;
}

int creds_raise_permitted(struct err *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) < 0)
        return err_errno(err, "read capabilities");
    for (int i = 0; i < 2; i++)
        data[i].effective = data[i].permitted;
    if (syscall(SYS_capset, &head, data) < 0)
        return err_errno(err, "raise capabilities");
    return 0;
}

int creds_give_up(struct err *err)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return err_errno(err, "clear the ambient capabilities");
    return set_capabilities(0, err);
}
