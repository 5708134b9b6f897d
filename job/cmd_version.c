/* `vitrine-job version`: what is there already becomes a version.
 *
 *   rev=REV             the tree of that commit, as it is (a version that was not deployed yet)
 *   rev=REV again=1     a new commit on main with the tree of that one: a rollback
 *   again=1 --before    the same with the tree of a version from before there was a repository */
#include "job/job.h"
#include "job/quarantine.h"
#include "job/repo.h"
#include "job/version.h"

#include <errno.h>
#include <string.h>

static int tree_of(struct job *job, char tree[GIT_OID_MAX + 1], struct err *err)
{
    char sha[GIT_OID_MAX + 1];
    const char *rev = job_arg(job, "rev", "");
    int r;

    if (*rev) {
        r = repo_resolve(rev, sha, err);
        return r < 0 ? r : repo_tree(sha, tree, err);
    }
    _cleanup_staging_ struct staging st;
    staging_init(&st);
    r = job->before ? staging_folder(&st, job->before, err)
                    : err_set(err, ENXIO, "the tree of that version is gone");
    return r < 0 ? r : staging_write(&st, "", tree, err);
}

static int again(struct job *job, struct err *err)
{
    char tree[GIT_OID_MAX + 1], old[GIT_OID_MAX + 1], sha[65];
    bool is_new = false;
    int r = tree_of(job, tree, err);

    if (r == 0)
        r = repo_ref(REPO_MAIN, old, err);
    if (r == 0 || r == 1)
        r = version_commit(job, tree, old, job_arg(job, "message", "Back to an earlier version"),
                           sha, &is_new, err);
    if (r == 0)
        r = version_of_commit(job, sha, err);
    r = quarantine_end(job->repo, r, err);
    return r == 0 && is_new ? repo_set_ref(REPO_MAIN, sha, old, err) : r;
}

int job_version(struct job *job, struct err *err)
{
    char sha[GIT_OID_MAX + 1];
    bool is_again = strcmp(job_arg(job, "again", ""), "1") == 0;
    int r = is_again && !*job_arg(job, "rev", "") ? repo_open(job->repo, true, err)
                                                  : version_open_repo(job, err);

    if (r < 0)
        return r;
    if (is_again) {
        r = quarantine_begin(job->repo, err);
        return r < 0 ? r : again(job, err);
    }
    r = repo_resolve(job_arg(job, "rev", "main"), sha, err);
    return r < 0 ? r : version_of_commit(job, sha, err);
}
