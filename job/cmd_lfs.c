/* `vitrine-job lfs`: stores the bytes of stdin (a file) as the LFS object oid=SHA256 of size=N. */
#include "common/cleanup.h"
#include "job/job.h"
#include "job/lfs.h"
#include "job/repo.h"
#include "job/version.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int job_lfs(struct job *job, struct err *err)
{
    struct lfs_pointer p = {.size = job_number(job, "size", UINT64_MAX, 0)};
    const char *oid = job_arg(job, "oid", "");
    struct stat st;
    int r = repo_open(job->repo, true, err);

    if (r < 0)
        return r;
    if (!lfs_is_oid(oid))
        return err_set(err, EINVAL, "%.80s is no SHA-256 of an LFS object", oid);
    snprintf(p.oid, sizeof(p.oid), "%s", oid);
    _cleanup_close_ int there = lfs_open(job->repo, oid, NULL, NULL);
    if (there >= 0) /* and is not an old one that nobody names (cmd_pack.c) */
        return futimens(there, NULL) < 0 ? err_errno(err, "the LFS object cannot be kept") : 0;
    if (fstat(STDIN_FILENO, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "the LFS object is no file");
    if (!*job_arg(job, "size", ""))
        p.size = (uint64_t)st.st_size;
    r = version_check_quota(job, (uint64_t)st.st_size, err);
    return r < 0 ? r : lfs_store(job->repo, &p, STDIN_FILENO, err);
}
