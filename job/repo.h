/* A Space's repository: bare, made by hand (so that half of one is made whole the next time), and
 * written by one job at a time. The runner sees to that; what a job that was killed left lying is
 * swept up by the next one that writes. */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "job/git.h"

#include <stdbool.h>
#include <stddef.h>

#define REPO_MAIN "refs/heads/main"

/* Makes it where it is not there. `writes`: this job will write, so locks and half-made packs are
 * an earlier one's, and go. */
int repo_open(const char *path, bool writes, struct err *err);

/* What `name` (a branch, a tag, a sha, HEAD; not an expression of git's) means: its commit's sha.
 * -ENXIO with words where there is none. */
int repo_resolve(const char *name, char out[GIT_OID_MAX + 1], struct err *err);
/* The commit of a full ref name: 1, 0 (then "") or negative errno. */
int repo_ref(const char *ref, char out[GIT_OID_MAX + 1], struct err *err);

/* Whether git takes it as the name of a branch or tag; -EINVAL with words. */
int repo_check_name(const char *what, const char *name, struct err *err);

/* Moves a ref, made where `old` is "". -ESTALE where it is not at `old` any more. */
int repo_set_ref(const char *ref, const char *sha, const char *old, struct err *err);

struct repo_commit {
    const char *author, *email, *message;
    const char *parent; /* "" none */
    const char *tree;
};
int repo_commit(const struct repo_commit *c, char out[GIT_OID_MAX + 1], struct err *err);
/* The tree of a commit. */
int repo_tree(const char *commit, char out[GIT_OID_MAX + 1], struct err *err);

/* Changes to a tree, collected and then made in one go. */
struct staging {
    struct buf paths;   /* of the files whose content is to be stored, one a line */
    struct buf entries; /* "MODE PATH\0" of each of them, in the same order */
    struct buf removed; /* "PATH\0": files, and folders with all that is in them ("PATH/\0") */
    size_t files, links;
};
void staging_init(struct staging *st);
void staging_free(struct staging *st);
#define _cleanup_staging_ _cleanup_(staging_free)

/* The file at `source` (absolute) as `path`. */
int staging_file(struct staging *st, const char *source, const char *path, bool executable,
                 struct err *err);
int staging_link(struct staging *st, const char *target, const char *path, struct err *err);
/* `path` with "/" at its end is a folder. Removals are made before what is added. */
int staging_remove(struct staging *st, const char *path, struct err *err);
/* Every file and link below the folder `dir`. */
int staging_folder(struct staging *st, const char *dir, struct err *err);
/* Stores everything; the tree that `base` (a commit or tree, "" none) becomes by it. */
int staging_write(struct staging *st, const char *base, char tree[GIT_OID_MAX + 1],
                  struct err *err);
