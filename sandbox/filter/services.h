/* The lists of the filters of the platform's own programs (sandbox/service.h): what their loops
 * call once they are confined, and nothing else; any other call kills. */
#pragma once

#include "lists.h"

/* By how often a request needs them: the generator puts the first group first. */
static const struct filter_group gateway_allowed[] = {
    {"bytes of visitors, demos and the site", CALLS("recvfrom", "sendto", "epoll_wait")},
    {"connections: each is accepted, or comes as a descriptor; none is made from a name",
     CALLS("accept4", "sendmsg", "recvmsg", "getsockopt", "getsockname", "connect", "shutdown",
           "close", "epoll_ctl", "epoll_pwait")},
    {"messages with `up` and the runner that must not be lost wait for room",
     CALLS("poll", "ppoll")},
    {"the log; signals come by descriptor; certificates, which all loops read",
     CALLS("write", "read", "pread64")},
    {"the next deadline", CALLS("timerfd_settime")},
    {"memory", CALLS("brk", "munmap", "mremap", "madvise")},
    {"what libc does on its way",
     CALLS("clock_gettime", "getrandom", "rt_sigreturn", "rt_sigprocmask", "restart_syscall",
           "futex", "getpid", "gettid", "exit", "exit_group")},
    {"a thread ends (none begins: its loops are there before the filter is)", CALLS("rseq")},
};

/* The site: a thread for each connection, SQLite, and bodies that become files. */
static const struct filter_group webui_allowed[] = {
    {"connections are accepted, none is made",
     CALLS("accept4", "recvfrom", "sendto", "sendmsg", "recvmsg", "getsockopt", "getsockname",
           "shutdown", "close")},
    {"waiting", CALLS("poll", "ppoll", "futex", "eventfd2", "clock_nanosleep", "nanosleep")},
    {"the log, bodies, and files that came as descriptors",
     CALLS("write", "read", "writev", "pread64", "pwrite64", "lseek", "fstat", "newfstatat")},
    {"SQLite: of site.db by its descriptors, of life.db by name, which its root has",
     CALLS("open", "openat", "stat", "lstat", "readlink", "readlinkat", "getcwd", "access",
           "faccessat", "faccessat2", "fdatasync", "fsync", "ftruncate", "geteuid")},
    {"memory", CALLS("brk", "munmap", "mremap", "madvise")},
    {"threads (clone itself: rules.c)",
     CALLS("set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "gettid", "getpid",
           "exit", "exit_group", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
           "restart_syscall")},
    {"what libc does on its way", CALLS("clock_gettime", "gettimeofday", "getrandom")},
    {"whatever hangs at the end ends then", CALLS("alarm", "setitimer")},
};

/* The way out of builds: connections are made, by libcurl and OpenSSL too. */
static const struct filter_group egress_allowed[] = {
    {"bytes of builds and of whom they ask", CALLS("recvfrom", "sendto", "poll", "ppoll")},
    {"connections: each is accepted, or made (socket: rules.c)",
     CALLS("accept4", "connect", "getsockopt", "getsockname", "getpeername", "shutdown", "close",
           "sendmsg", "recvmsg")},
    {"reports, and libcurl's own waking up", CALLS("write", "read")},
    {"memory", CALLS("brk", "munmap", "mremap", "madvise")},
    {"what libraries do on their way",
     CALLS("clock_gettime", "gettimeofday", "time", "getrandom", "rt_sigaction", "rt_sigreturn",
           "rt_sigprocmask", "restart_syscall", "futex", "getpid", "gettid", "exit", "exit_group")},
};

/* Besides, where the program is built with sanitizers (never in what is installed). */
static const struct filter_group sanitizer_allowed[] = {
    {"the runtime reads /proc/self, to name what is wrong and to search for leaks",
     CALLS("open", "openat", "readlink", "readlinkat", "fstat", "newfstatat", "stat", "lseek",
           "getdents", "getdents64", "dup", "dup2", "pipe", "pipe2", "access", "pread64")},
    {"the search for leaks is a thread that traces this one",
     CALLS("clone", "ptrace", "wait4", "sigaltstack", "rt_sigaction", "getppid", "tgkill", "kill",
           "prctl", "sched_yield", "process_vm_readv", "set_robust_list", "rseq", "mmap",
           "mprotect", "uname", "getuid", "geteuid", "getrlimit", "setrlimit", "prlimit64",
           "gettimeofday", "nanosleep", "clock_nanosleep", "sched_getaffinity", "arch_prctl",
           "sigprocmask", "capget", "ioctl", "fcntl", "writev", "readv", "sysinfo", "rt_sigpending",
           "setsockopt", "personality")},
};
