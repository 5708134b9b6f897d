#include "children.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

int children_kill(void)
{
    int n = 0;
    _cleanup_closedir_ DIR *proc = opendir("/proc");
    for (struct dirent *e; proc && (e = readdir(proc));) {
        char path[300], stat[512];
        pid_t pid = (pid_t)atoi(e->d_name);
        snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
        if (pid <= 0 || file_read_small(path, stat, sizeof(stat)) < 0)
            continue;
        const char *after_name = strrchr(stat, ')');
        char state;
        int ppid;
        if (after_name && sscanf(after_name + 1, " %c %d", &state, &ppid) == 2 &&
            ppid == getpid() && state != 'Z' && kill(pid, SIGKILL) == 0)
            n++;
    }
    return n;
}
