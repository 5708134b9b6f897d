#include "holder.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_LISTEN 0x0a

/* The inode of a socket that listens on the port: a line of /proc/net/tcp. 0: none. */
static unsigned long listening_inode(const char *table, unsigned port)
{
    _cleanup_fclose_ FILE *f = fopen(table, "re");
    char line[512];
    while (f && fgets(line, sizeof(line), f)) {
        unsigned local = 0, state = 0;
        unsigned long inode = 0;
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu",
                   &local, &state, &inode) == 3 &&
            local == port && state == STATE_LISTEN)
            return inode;
    }
    return 0;
}

static bool has_socket(const char *pid, const char *link)
{
    char path[300], target[64];
    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    _cleanup_closedir_ DIR *fds = opendir(path);
    for (struct dirent *e; fds && (e = readdir(fds));) {
        ssize_t n = readlinkat(dirfd(fds), e->d_name, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            if (strcmp(target, link) == 0)
                return true;
        }
    }
    return false;
}

void holder_of_port(unsigned port, char *out, size_t size)
{
    char link[64];
    out[0] = '\0';
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    if (!inode)
        inode = listening_inode("/proc/net/tcp6", port);
    if (!inode)
        return;
    snprintf(link, sizeof(link), "socket:[%lu]", inode);
    _cleanup_closedir_ DIR *proc = opendir("/proc");
    for (struct dirent *e; proc && (e = readdir(proc));) {
        char path[300], name[64];
        if (e->d_name[0] < '0' || e->d_name[0] > '9' || !has_socket(e->d_name, link))
            continue;
        snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
        if (file_read_small(path, name, sizeof(name)) > 0)
            snprintf(out, size, " by %s (process %s)", name, e->d_name);
        return;
    }
}
