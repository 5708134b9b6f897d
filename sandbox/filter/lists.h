/* The lists of the filters, in groups: who needs them, or why not. A name that an architecture does
 * not have is skipped there. To let a call through, put it into the group whose reason it shares,
 * or into a new one with its reason. */
#pragma once

#include <stddef.h>

#define CALLS(...) ((const char *const[]){__VA_ARGS__, NULL})

struct filter_group {
    const char *reason;
    const char *const *calls;
};

/* ---- let through for the program */
static const struct filter_group user_allowed[] = {
    {"files by descriptor",
     CALLS("read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev",
           "preadv2", "pwritev2", "lseek", "_llseek", "close", "close_range", "dup", "dup2", "dup3",
           "flock", "fsync", "fdatasync", "sync_file_range", "syncfs", "sync", "ftruncate",
           "ftruncate64", "fallocate", "readahead", "copy_file_range", "sendfile", "sendfile64",
           "splice")},
    {"files by name: the sandbox's own tree is all that there is",
     CALLS("open", "openat", "openat2", "creat", "access", "faccessat", "faccessat2", "stat",
           "stat64", "lstat", "lstat64", "fstat", "fstat64", "newfstatat", "fstatat64", "statx",
           "statfs", "statfs64", "fstatfs", "fstatfs64", "getdents", "getdents64", "getcwd",
           "chdir", "fchdir", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename",
           "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "readlink",
           "readlinkat", "truncate", "truncate64", "chmod", "fchmod", "fchmodat", "chown",
           "chown32", "fchown", "fchown32", "lchown", "lchown32", "fchownat", "umask", "utime",
           "utimes", "utimensat", "futimesat")},
    {"extended attributes: cp -a, git, tar; user.* only, the rest needs capabilities",
     CALLS("getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr",
           "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr")},
    {"watching files: Streamlit does not start without, but a watch is refused (below)",
     CALLS("inotify_init", "inotify_init1", "inotify_rm_watch")},
    {"memory (mmap, memfd_create and madvise are let through by their flags)",
     CALLS("brk", "munmap", "mremap", "mprotect", "mincore", "msync", "mlock", "mlock2", "munlock",
           "mlockall", "munlockall", "membarrier", "pkey_alloc", "pkey_free", "pkey_mprotect")},
    {"threads and processes (clone is let through by its flags)",
     CALLS("fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid",
           "waitpid", "futex", "futex_waitv", "futex_time64", "set_robust_list", "getcpu",
           "set_tid_address", "gettid", "getpid", "getppid", "rseq", "sched_yield", "arch_prctl",
           "pidfd_open", "pidfd_send_signal")},
    {"signals",
     CALLS("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend",
           "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
           "sigaltstack", "sigaction", "sigprocmask", "sigreturn", "kill", "tkill", "tgkill",
           "pause", "alarm", "signalfd", "signalfd4", "restart_syscall")},
    {"who am I; changing it is refused by the empty capability sets",
     CALLS("getuid", "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid",
           "getegid32", "getresuid", "getresuid32", "getresgid", "getresgid32", "getgroups",
           "getgroups32", "setuid", "setuid32", "setgid", "setgid32", "setreuid", "setreuid32",
           "setregid", "setregid32", "setresuid", "setresuid32", "setresgid", "setresgid32",
           "setgroups", "setgroups32", "setfsuid", "setfsuid32", "setfsgid", "setfsgid32", "capget",
           "capset", "getpgrp", "getpgid", "setpgid", "getsid", "setsid")},
    {"limits and scheduling of itself (setrlimit and prlimit64: by what they limit)",
     CALLS("getrlimit", "ugetrlimit", "getrusage", "getpriority", "setpriority",
           "sched_getaffinity", "sched_getparam", "sched_setparam", "sched_getscheduler",
           "sched_setscheduler", "sched_getattr", "sched_setattr", "sched_get_priority_max",
           "sched_get_priority_min", "sched_rr_get_interval", "sched_rr_get_interval_time64",
           "ioprio_get")},
    {"time; setting it is refused by the capability sets and not listed",
     CALLS("time", "gettimeofday", "clock_gettime", "clock_gettime64", "clock_getres",
           "clock_getres_time64", "clock_nanosleep", "clock_nanosleep_time64", "nanosleep",
           "getitimer", "setitimer", "timer_create", "timer_settime", "timer_settime64",
           "timer_gettime", "timer_gettime64", "timer_getoverrun", "timer_delete", "timerfd_create",
           "timerfd_settime", "timerfd_settime64", "timerfd_gettime", "timerfd_gettime64",
           "times")},
    {"event loops",
     CALLS("poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
           "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
           "epoll_pwait2", "eventfd", "eventfd2", "pipe", "pipe2")},
    {"sockets (socket, socketpair and setsockopt are let through by their arguments)",
     CALLS("bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername",
           "getsockopt", "shutdown", "send", "sendto", "sendmsg", "sendmmsg", "recv", "recvfrom",
           "recvmsg", "recvmmsg", "recvmmsg_time64")},
    {"System V shared memory, semaphores, queues: of its own ipc namespace",
     CALLS("shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semtimedop",
           "semtimedop_time64", "semctl", "msgget", "msgsnd", "msgrcv", "msgctl")},
    {"random numbers, the machine's name and size", CALLS("getrandom", "uname", "sysinfo")},
    {"a program's own further confinement",
     CALLS("seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")},
    {"arm64 only: what its libc and JITs use", CALLS("cacheflush", "riscv_flush_icache")},
};

/* ---- refused with EPERM: nobody needs them to work, an attacker would try them */
static const struct filter_group user_refused[] = {
    {"more of the disk than its neighbours", CALLS("ioprio_set")},
    {"other CPUs than those that it is kept to (sandbox/cpu_class.h)", CALLS("sched_setaffinity")},
    {"other namespaces, other roots", CALLS("unshare", "setns", "chroot", "pivot_root")},
    {"mounts, old interface and new",
     CALLS("mount", "umount", "umount2", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount",
           "fspick", "mount_setattr", "quotactl", "quotactl_fd", "swapon", "swapoff")},
    {"into other processes",
     CALLS("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd",
           "kcmp", "move_pages", "migrate_pages")},
    {"the kernel's own programs, profiles, keys",
     CALLS("bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key",
           "lookup_dcookie")},
    {"files past their names: out of a mount namespace",
     CALLS("open_by_handle_at", "name_to_handle_at", "fanotify_init", "fanotify_mark")},
    {"the machine itself",
     CALLS("reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module",
           "delete_module", "create_module", "iopl", "ioperm", "modify_ldt", "acct", "syslog",
           "sethostname", "setdomainname", "settimeofday", "stime", "clock_settime",
           "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "vhangup",
           "nfsservctl", "memfd_secret", "vm86", "vm86old", "uselib", "ustat", "sysfs", "_sysctl",
           "afs_syscall", "set_mempolicy_home_node")},
};

/* ---- refused with ENOSPC, "too many watches", which every user of theirs copes with: a watch on a
 * folder of /usr tells what the host and all neighbours start */
static const struct filter_group user_watches[] = {
    {"watching files", CALLS("inotify_add_watch")},
};

/* ---- absent (ENOSYS, as is whatever stands in no list): what libraries can do without. Listed for
 * the reasons; in none of the lists above. */
static const struct filter_group user_absent[] __attribute__((unused)) = {
    {"flags in memory, where no filter sees them; libc falls back to clone", CALLS("clone3")},
    {"a second way to most calls, past every filter",
     CALLS("io_uring_setup", "io_uring_enter", "io_uring_register")},
    {"queues are counted for the host's user: one demo could take all",
     CALLS("mq_open", "mq_unlink", "mq_timedsend", "mq_timedsend_time64", "mq_timedreceive",
           "mq_timedreceive_time64", "mq_notify", "mq_getsetattr")},
    {"pages passed by reference: behind many a way into the kernel; cat and yes do without",
     CALLS("vmsplice", "tee")},
    {"where memory lies: as on a kernel without NUMA, which libnuma, BLAS and Java know",
     CALLS("get_mempolicy", "set_mempolicy", "mbind")},
    {"reading other threads' lists, freeing other processes' memory: for checkpoints and managers",
     CALLS("get_robust_list", "process_mrelease")},
};

/* ---- PID 1's own loop (init*.c) */
static const struct filter_group init_allowed[] = {
    {"connections: accepting, messages with descriptors",
     CALLS("accept4", "recvmsg", "sendmsg", "shutdown", "close", "poll", "ppoll", "ppoll_time64")},
    {"the log, the exit file, its own procfs",
     CALLS("read", "write", "pwrite64", "ftruncate", "openat", "fstat", "newfstatat", "getdents64",
           "lseek", "fcntl")},
    {"how full /tmp and the home are", CALLS("statfs", "statfs64")},
    {"the program's end, and stopping it", CALLS("wait4", "waitid", "kill", "getrusage")},
    {"signals come by descriptor; the rest is what libc does on its way",
     CALLS("rt_sigreturn", "rt_sigprocmask", "rt_sigaction", "restart_syscall", "exit",
           "exit_group", "brk", "mmap", "munmap", "mremap", "clock_gettime", "clock_gettime64",
           "getpid", "gettid", "getrandom", "futex", "tgkill")},
};
