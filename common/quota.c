#include "quota.h"

#include <errno.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK QIF_DQBLKSIZE /* limits of bytes are in these, 1 KiB */

static int quotactl_of(int fd, int command, uint32_t id, void *arg)
{
    long r = syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), id, arg);
    return r < 0 ? -errno : 0;
}

int quota_probe(int dirfd, struct err *err)
{
    struct fsxattr attr;
    struct fs_quota_stat state = {.qs_version = FS_QSTAT_VERSION};
    struct if_dqblk none;
    if (ioctl(dirfd, FS_IOC_FSGETXATTR, &attr) < 0 ||
        quotactl_of(dirfd, Q_XGETQSTAT, 0, &state) < 0 || !(state.qs_flags & FS_QUOTA_PDQ_ENFD))
        return err_set(err, ENOTSUP, "its file system enforces no project quotas");
    int r = quotactl_of(dirfd, Q_GETQUOTA, 0, &none);
    if (r == -EPERM)
        return err_set(err, EPERM,
                       "its file system enforces project quotas, which root alone sets");
    return r < 0 ? err_set(err, -r, "its file system's project quotas cannot be read") : 0;
}

int quota_give(int fd, uint32_t project, struct err *err)
{
    struct fsxattr attr;
    struct stat st;
    if (fstat(fd, &st) < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &attr) < 0)
        return err_errno(err, "cannot read the project of a file");
    uint32_t inherit = S_ISDIR(st.st_mode) ? FS_XFLAG_PROJINHERIT : 0;
    if (attr.fsx_projid == project && (attr.fsx_xflags & inherit) == inherit)
        return 0;
    attr.fsx_projid = project;
    attr.fsx_xflags |= inherit;
    if (ioctl(fd, FS_IOC_FSSETXATTR, &attr) < 0)
        return err_errno(err, "cannot give a file to project %u", project);
    return 1;
}

int quota_set(int dirfd, uint32_t project, uint64_t bytes, uint64_t inodes, struct err *err)
{
    struct if_dqblk want = {.dqb_bhardlimit = bytes / BLOCK,
                            .dqb_bsoftlimit = bytes / BLOCK,
                            .dqb_ihardlimit = inodes,
                            .dqb_isoftlimit = inodes,
                            .dqb_valid = QIF_LIMITS},
                    seen = {0};
    int r = quotactl_of(dirfd, Q_SETQUOTA, project, &want);
    if (r == 0)
        r = quotactl_of(dirfd, Q_GETQUOTA, project, &seen);
    if (r < 0)
        return err_set(err, -r, "cannot set the quota of project %u", project);
    /* xfs counts in its own blocks, which are larger */
    if (seen.dqb_ihardlimit != inodes || seen.dqb_bhardlimit > want.dqb_bhardlimit ||
        (bytes && want.dqb_bhardlimit - seen.dqb_bhardlimit >= 64))
        return err_set(err, EIO, "the kernel did not confirm the quota of project %u", project);
    return 0;
}

int quota_usage(int dirfd, uint32_t project, struct usage *ret, struct err *err)
{
    struct if_dqblk seen = {0};
    int r = quotactl_of(dirfd, Q_GETQUOTA, project, &seen);
    if (r < 0 && r != -ENOENT && r != -ESRCH) /* xfs has no record of what takes nothing */
        return err_set(err, -r, "cannot read the quota of project %u", project);
    *ret = (struct usage){.bytes = seen.dqb_curspace, .inodes = seen.dqb_curinodes};
    return 0;
}
