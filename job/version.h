/* The last steps of every submission: the tree is judged as a Space, its commit is made, and the
 * record tells of it. */
#pragma once

#include "job/job.h"

/* Reads and checks the front matter and the app file of `tree`, brings everything to the disk, and
 * writes the record (record.h) with `sha` ("": the tree's own hash) to job->out; with `sha` NULL it
 * only judges. `subject` may be NULL. */
int version_record(struct job *job, struct tree *tree, const char *sha, const char *subject,
                   uint64_t dropped, struct err *err);

/* The tree of `commit` into job->dest, then its record. */
int version_of_commit(struct job *job, const char *commit, struct err *err);

/* The result is a commit that does not become a version. */
int version_only_commit(struct job *job, const char *commit, struct err *err);
/* version_of_commit; of a Space that is not whole yet (unfinished=1) and has no app file,
 * version_only_commit: the next commit may bring what is missing. */
int version_or_commit(struct job *job, const char *commit, struct err *err);

/* Opens the repository for writing. One that has no main yet, of a Space that had versions before
 * it had a repository, gets job->before as its first commit. */
int version_open_repo(struct job *job, struct err *err);
/* The same without taking litter away, as another job may be writing. */
int version_open_for_reading(struct job *job, struct err *err);

/* Makes a commit of `tree` by the author of the job's arguments; none where `parent` ("" none) has
 * that tree already. `sha` is the branch's commit then; *ret_new: it is a new one, and no ref has
 * moved yet. */
int version_commit(struct job *job, const char *tree, const char *parent, const char *message,
                   char sha[65], bool *ret_new, struct err *err);

/* Everything that was written is on the disk. */
int version_sync(const struct job *job, struct err *err);

/* -EDQUOT with words where the repository, with `more` bytes, is larger than job->max_repo. */
int version_check_quota(const struct job *job, uint64_t more, struct err *err);
