/* `vitrine-job unpack`: an archive becomes a commit on main, and its tree.
 *
 *   unpack   archive -> DEST, entry by entry (unpack.c); what a path may be is said by names.c, and
 *            files are made relative to directory descriptors only (tree.c)
 *            what it leaves out comes from the repository (kept.c)
 *   shape    a single top folder is taken away, empty folders go (git keeps none), then links are
 *            made, each checked to stay inside
 *   card     README.md's front matter is read (front.c) and checked (card.c); the app file must be
 *            there; the SDK is guessed where none is named
 *   record   everything is brought to the disk, main moves, and the record goes out (record.c)
 *
 * Without a repository the hash over the tree is the version's name. */
#include "common/cleanup.h"
#include "job/job.h"
#include "job/kept.h"
#include "job/quarantine.h"
#include "job/repo.h"
#include "job/unpack.h"
#include "job/version.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* The commit of what lies in job->dest. main stays where it is: *ret_old. */
static int commit_tree(struct job *job, const struct tree *tree, char sha[65],
                       char old[GIT_OID_MAX + 1], bool *ret_new, struct err *err)
{
    _cleanup_staging_ struct staging st;
    char oid[GIT_OID_MAX + 1], source[PATH_MAX + NAMES_PATH_MAX + 2];
    int r = 0;

    staging_init(&st);
    for (size_t i = 0; r == 0 && i < tree->count; i++) {
        const struct tree_entry *e = tree->entries[i];

        snprintf(source, sizeof(source), "%s/%s", job->dest, e->path);
        if (e->kind == TREE_LINK)
            r = staging_link(&st, e->target, e->path, err);
        else if (e->kind != TREE_DIR)
            r = staging_file(&st, source, e->path, e->kind == TREE_EXEC, err);
    }
    if (r == 0)
        r = staging_write(&st, "", oid, err);
    if (r == 0)
        r = repo_ref(REPO_MAIN, old, err);
    return r < 0 ? r
                 : version_commit(job, oid, old, job_arg(job, "message", "Upload of an archive"),
                                  sha, ret_new, err);
}

static int into_repo(struct job *job, struct tree *tree, uint64_t dropped, struct err *err)
{
    char sha[65], old[GIT_OID_MAX + 1];
    bool is_new = false;

    /* Judged first: what is no Space costs no commit. */
    int r = version_record(job, tree, NULL, NULL, dropped, err);
    if (r == 0)
        r = version_open_repo(job, err);
    if (r == 0)
        r = quarantine_begin(job->repo, err);
    if (r == 0)
        r = commit_tree(job, tree, sha, old, &is_new, err);
    if (r == 0)
        r = version_check_quota(job, 0, err);
    if (r == 0) /* syncs, too */
        r = version_record(job, tree, sha, job_arg(job, "message", NULL), dropped, err);
    r = quarantine_end(job->repo, r, err);
    return r == 0 && is_new ? repo_set_ref(REPO_MAIN, sha, old, err) : r;
}

int job_unpack(struct job *job, struct err *err)
{
    _cleanup_(tree_free) struct tree tree = {.folder_fd = -1};
    _cleanup_close_ int root = open(job->dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(kept_free) struct kept kept;
    struct unpack_options how = {.name = job->name,
                                 .progress = job_progress,
                                 .arg = job,
                                 .kept = job->repo ? kept_add : NULL,
                                 .kept_arg = &kept};
    uint64_t dropped = 0;

    kept_init(&kept);
    if (root < 0)
        return err_errno(err, "the folder to unpack into cannot be opened");
    tree_init(&tree, root, job->max_unpacked, job->max_files);
    int r = unpack_archive(STDIN_FILENO, &how, &tree, &dropped, err);
    if (r == 0 && kept.count)
        r = version_open_repo(job, err);
    if (r == 0)
        r = kept_fill(&kept, &tree, err);
    if (r == 0)
        r = tree_strip_top(&tree, err);
    if (r == 0 && job->repo) {
        tree_hash(&tree, job->content);
        r = tree_drop_empty(&tree, err);
    }
    if (r == 0)
        r = tree_make_links(&tree, err);
    if (r < 0)
        return r;
    return job->repo ? into_repo(job, &tree, dropped, err)
                     : version_record(job, &tree, "", NULL, dropped, err);
}
