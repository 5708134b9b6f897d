/* See init_stats.h. Buffers are on the stack and the folder is read by the bare call: PID 1's
 * filter allows little, and its memory is the worker's. */
#include "init_stats.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

struct linux_dirent {
    uint64_t inode;
    int64_t next;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* Adds /proc/PID/stat's numbers (proc(5)): after the name in brackets come the state and
 * fields 4.., of which 14 and 15 are CPU ticks, 20 the threads, 24 the resident pages. */
static void add_process(int proc_fd, const char *pid, uint64_t ticks_us, uint64_t page_bytes,
                        struct proto_init_stats *s)
{
    char path[32], text[1024];
    snprintf(path, sizeof(path), "%.16s/stat", pid);
    _cleanup_close_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read_all(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return; /* gone meanwhile */
    text[n] = '\0';
    char *p = strrchr(text, ')');
    unsigned long utime, stime, threads, pages;
    if (!p || sscanf(p + 2,
                     "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %lu %*d "
                     "%*u %*u %lu",
                     &utime, &stime, &threads, &pages) != 4)
        return;
    s->cpu_us += (utime + stime) * ticks_us;
    s->memory_bytes += pages * page_bytes;
    s->pids += (uint32_t)threads;
}

void init_stats_read(int proc_fd, struct proto_init_stats *ret)
{
    struct proto_init_stats s = {0};
    uint64_t ticks_us = 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    _Alignas(struct linux_dirent) char entries[8192];
    (void)lseek(proc_fd, 0, SEEK_SET);
    long n;
    while ((n = syscall(SYS_getdents64, proc_fd, entries, sizeof(entries))) > 0)
        for (long at = 0; at < n;) {
            struct linux_dirent *e = (struct linux_dirent *)(entries + at);
            if (isdigit((unsigned char)e->name[0]))
                add_process(proc_fd, e->name, ticks_us, page_bytes, &s);
            at += e->length;
        }
    /* those that have ended and were reaped by us */
    struct rusage gone;
    if (getrusage(RUSAGE_CHILDREN, &gone) == 0)
        s.cpu_us += (uint64_t)(gone.ru_utime.tv_sec + gone.ru_stime.tv_sec) * 1000000u +
                    (uint64_t)(gone.ru_utime.tv_usec + gone.ru_stime.tv_usec);
    *ret = s;
}
