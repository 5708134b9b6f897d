/* What Docker's default profile refuses to a container with the default capabilities, written down
 * from its documentation and sources as a list of what is refused (theirs lists what is allowed; a
 * call that neither names is allowed here, so this is kind to the attempt, not to Docker, only for
 * calls newer than both). i386's calls are let through by theirs as well. */
#include "tests/attack/attempt.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static const unsigned refused[] = {
    SYS_bpf,
    SYS_fanotify_init,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_lookup_dcookie,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_open_tree,
    SYS_perf_event_open,
    SYS_quotactl,
    SYS_setdomainname,
    SYS_sethostname,
    SYS_setns,
    SYS_syslog,
    SYS_umount2,
    SYS_unshare,
    SYS_open_by_handle_at,
    SYS_reboot,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_acct,
    SYS_kcmp,
    438 /* pidfd_getfd */,
    SYS_process_madvise,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_vhangup,
    SYS_get_mempolicy,
    SYS_mbind,
    SYS_set_mempolicy,
    SYS_pivot_root,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_userfaultfd,
    SYS_swapon,
    SYS_swapoff,
    SYS_move_pages,
    SYS_migrate_pages,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
#ifdef __x86_64__
    SYS_iopl,
    SYS_ioperm,
    SYS_uselib,
    SYS_ustat,
    SYS_sysfs,
#endif
};
#define COUNT (sizeof(refused) / sizeof(*refused))

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define NO (SECCOMP_RET_ERRNO | EPERM)
#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |     \
     CLONE_NEWCGROUP)

#ifdef __x86_64__
#define OWN_ARCH AUDIT_ARCH_X86_64
#else
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

int docker_filter_main(void)
{
    const struct sock_filter head[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
        RETURN(SECCOMP_RET_ALLOW),
        LOAD(nr),
        UNLESS(SYS_clone3, 1),
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
        UNLESS(SYS_clone, 4),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1),
        RETURN(NO),
        RETURN(SECCOMP_RET_ALLOW),
        UNLESS(SYS_socket, 4),
        LOAD(args[0]),
        UNLESS(AF_VSOCK, 1),
        RETURN(NO),
        RETURN(SECCOMP_RET_ALLOW),
        UNLESS(SYS_personality, 5),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, ~0x20008u, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffffu, 1, 0),
        RETURN(NO),
        RETURN(SECCOMP_RET_ALLOW),
    };
    const struct sock_filter tail = RETURN(SECCOMP_RET_ALLOW);
    bool ok = fwrite(head, sizeof(head), 1, stdout) == 1;
    for (size_t i = 0; ok && i < COUNT; i++) {
        const struct sock_filter one[] = {UNLESS(refused[i], 1), RETURN(NO)};
        ok = fwrite(one, sizeof(one), 1, stdout) == 1;
    }
    return ok && fwrite(&tail, sizeof(tail), 1, stdout) == 1 && fflush(stdout) == 0 ? 0 : 1;
}
