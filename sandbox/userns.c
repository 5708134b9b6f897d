/* See userns.h. */
#include "userns.h"

#include "common/cleanup.h"
#include "sandbox/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int write_map(pid_t pid, const char *name, const char *map, struct err *err)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open %s", path);
    if (write(fd, map, strlen(map)) < 0)
        return err_errno(err, "write %s", path);
    return 0;
}

int userns_write_maps(pid_t pid, const struct userns_range *range, uint32_t uid_index,
                      struct err *err)
{
    if (range->count < 2 || uid_index >= range->count - 1)
        return err_set(err, ERANGE, "uid index %u is beyond the range of %u ids", uid_index,
                       range->count);
    char map[96];
    snprintf(map, sizeof(map), "0 %u 1\n%d %u 1\n", range->first, SPEC_UID,
             range->first + 1 + uid_index);
    int r = write_map(pid, "uid_map", map, err);
    return r < 0 ? r : write_map(pid, "gid_map", map, err);
}
