/* LFS objects that are to be gone, from every commit: the history is written again without the
 * files that stand for them. */
#pragma once

#include "job/job.h"

/* Stdin: {"sha":[SHA256...]}. Every branch and tag moves to commits that have no pointer to one of
 * these and are otherwise the same (but for signatures, which would not be right any more), all at
 * once, and then the objects are removed. What main is then is judged as any version is, and the
 * result tells of it; where it would not run, nothing has changed. The repository is open for
 * writing. */
int forget_lfs(struct job *job, struct err *err);
