/* `vitrine-job lfs`: stores the bytes of stdin (a file) as the LFS object oid=SHA256 of size=N.
 *
 *   do=delete   stdin {"sha":[SHA256...]}: removes those objects, and no commit changes. What main
 * has is refused; nothing is removed then. */
#include "common/cleanup.h"
#include "job/job.h"
#include "job/lfs.h"
#include "job/lfs_list.h"
#include "job/repo.h"
#include "job/version.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Why that one has to stay: 0, or an error. */
static int may_go(const json_t *listed, const char *oid, struct err *err)
{
    const json_t *o;
    size_t i;

    json_array_foreach(listed, i, o)
    {
        const char *path = json_string_value(json_object_get(o, "filename"));

        if (strcmp(json_string_value(json_object_get(o, "fileOid")), oid) == 0 && *path &&
            json_object_get(o, "ref"))
            return err_set(err, EINVAL,
                           "%.12s... is %s of main: delete that file first, or let the history be "
                           "rewritten without it (rewrite_history=True)",
                           oid, path);
    }
    return 0;
}

static int delete_objects(struct job *job, struct err *err)
{
    json_t *question = json_loadfd(STDIN_FILENO, 0, NULL), *listed = NULL;
    const json_t *shas = json_object_get(question, "sha"), *sha;
    size_t i;
    int r = json_is_array(shas) ? lfs_list(job->repo, &listed, err)
                                : err_set(err, EINVAL, "the question is no JSON");

    json_array_foreach(shas, i, sha) if (r == 0) r =
        may_go(listed, json_string_value(sha) ? json_string_value(sha) : "", err);
    json_array_foreach(shas, i, sha) if (r == 0)
    {
        r = lfs_remove(job->repo, json_string_value(sha) ? json_string_value(sha) : "", err);
        r = r == -ENOENT ? 0 : r; /* gone already */
    }
    json_decref(listed);
    json_decref(question);
    return r;
}

int job_lfs(struct job *job, struct err *err)
{
    struct lfs_pointer p = {.size = job_number(job, "size", UINT64_MAX, 0)};
    const char *oid = job_arg(job, "oid", "");
    struct stat st;
    int r = repo_open(job->repo, true, err);

    if (r < 0)
        return r;
    if (strcmp(job_arg(job, "do", ""), "delete") == 0)
        return delete_objects(job, err);
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
