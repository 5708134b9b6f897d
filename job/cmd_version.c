/* `vitrine-job version`: what is there already becomes a version.
 *
 *   rev=REV             the tree of that commit, as it is (a version that was not deployed yet)
 *   rev=REV again=1     a new commit on main with the tree of that one: a rollback
 *   again=1 --before    the same with the tree of a version from before there was a repository
 *   again=1 tree=OID    the same with a tree that comes as stdin, a pack of all that is in it: a
 *                       duplicate of another Space
 *   rev=main again=1 squash=1   the same tree without anything before it
 *   forget=1            every commit of every branch and tag without the LFS objects that stdin
 *                       names (forget.h), and what main is then */
#include "job/forget.h"
#include "job/job.h"
#include "job/quarantine.h"
#include "job/repo.h"
#include "job/version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include <string.h>

/* The pack is checked as a push is: each object, and that none is missing. */
static int take_pack(struct job *job, const char *oid, char tree[GIT_OID_MAX + 1], struct err *err)
{
    char limit[48];
    int r = git_is_oid(oid) ? 0 : err_set(err, EINVAL, "%.80s is no name of a tree", oid);

    snprintf(limit, sizeof(limit), "--max-input-size=%" PRIu64, job->max_unpacked);
    if (r == 0)
        r = git_run((const char *[]){"git", "index-pack", "--stdin", "--strict", limit, NULL},
                    STDIN_FILENO, NULL, NULL, err);
    return r < 0 ? r : repo_tree(oid, tree, err);
}

static int tree_of(struct job *job, char tree[GIT_OID_MAX + 1], struct err *err)
{
    char sha[GIT_OID_MAX + 1];
    const char *rev = job_arg(job, "rev", ""), *packed = job_arg(job, "tree", "");
    int r;

    if (*packed)
        return take_pack(job, packed, tree, err);
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
    bool is_new = false, squashes = job_number(job, "squash", 1, 0) == 1;
    int r = tree_of(job, tree, err);

    if (r == 0)
        r = repo_ref(REPO_MAIN, old, err);
    if (r == 0 || r == 1)
        r = version_commit(job, tree, squashes ? "" : old,
                           job_arg(job, "message", "Back to an earlier version"), sha, &is_new,
                           err);
    if (r == 0)
        r = version_check_quota(job, 0, err);
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
    if (job_number(job, "forget", 1, 0) == 1)
        return forget_lfs(job, err);
    if (is_again) {
        r = quarantine_begin(job->repo, err);
        return r < 0 ? r : again(job, err);
    }
    r = repo_resolve(job_arg(job, "rev", "main"), sha, err);
    return r < 0 ? r : version_of_commit(job, sha, err);
}
