/* A Space's repository, as the site asks for it. Every function blocks while a job sandbox does the
 * work (job/cmd_read.c, job/cmd_serve.c, job/cmd_ref.c say what the answers hold); what comes back
 * is a stranger's in content, though not in form. What changes main goes through submit.h.
 *
 * `rev` is a branch, a tag, a full ref or a sha (four digits at least). Errors besides the usual:
 * -ENXIO no such revision, -ENOENT no such path. */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "webui/app.h"
#include "webui/link.h"
#include "webui/site.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Each puts a new object into *ret, which is the caller's. Items are those of Hugging Face's API:
 * {"type":"file"|"directory","oid","size","path","lfs"?:{"oid","size","pointerSize"}}. */

/* {"sha","title","message","authors":[{"user"}],"date"} of a commit; "sha" is "" where main has
 * none yet. */
int repo_resolve(struct app *app, const struct space *space, const char *rev, json_t **ret,
                 struct err *err);
/* {"sha","items","more"}: of the folder `path` ("" the top), `limit` items after `offset`. */
int repo_tree(struct app *app, const struct space *space, const char *rev, const char *path,
              bool recursive, uint64_t offset, uint64_t limit, json_t **ret, struct err *err);
/* {"sha","items"}: those of `paths` (an array of strings) that are there. */
int repo_paths(struct app *app, const struct space *space, const char *rev, const json_t *paths,
               json_t **ret, struct err *err);
/* {"sha","items":[{"id","title","message","authors":[{"user"}],"date","parents"}],"more"}, newest
 * first; limit <= 1000. */
int repo_log(struct app *app, const struct space *space, const char *rev, uint64_t offset,
             uint64_t limit, json_t **ret, struct err *err);
/* {"branches":[{"name","ref","targetCommit"}],"converts":[],"tags":[...],"pullRequests":[...]} */
int repo_refs(struct app *app, const struct space *space, json_t **ret, struct err *err);
/* An item of repo_log with "sha", "diff" (git's text, at most 1 MiB) and "cut". */
int repo_diff(struct app *app, const struct space *space, const char *rev, json_t **ret,
              struct err *err);
/* `body` is that of a preupload request; {"sha","files":[{"path","shouldIgnore","oid"?}]}, "oid"
 * (an LFS file's SHA-256, else the blob's) where the path is there. Which way a file is to be
 * uploaded is the caller's to say. */
int repo_preupload(struct app *app, const struct space *space, const char *rev, const json_t *body,
                   json_t **ret, struct err *err);
/* `objects` is an array of {"oid","size"}; {"objects":[{"oid","size","stored","valid"}]}. */
int repo_lfs(struct app *app, const struct space *space, const json_t *objects, json_t **ret,
             struct err *err);

/* Stores the bytes of `fd` (a file) as an LFS object, whose hash and size they must have. */
int repo_lfs_store(struct app *app, const struct space *space, const char *oid, uint64_t size,
                   int fd, struct err *err);

enum repo_ref { REPO_BRANCH, REPO_TAG };
/* -EEXIST, -EINVAL a name that git does not take. `message` (NULL none) makes an annotated tag. */
int repo_ref_create(struct app *app, const struct space *space, enum repo_ref kind,
                    const char *name, const char *rev, const char *message, const char *author,
                    struct err *err);
/* What LFS objects it has ({"items":[...]}, job/lfs_list.h), and the removal of some, by their
 * SHA-256, from under the commits that have them; not of what main has. */
int repo_lfs_list(struct app *app, const struct space *space, json_t **ret, struct err *err);
int repo_lfs_delete(struct app *app, const struct space *space, const json_t *shas,
                    struct err *err);
/* One commit with the branch's files takes the place of all its history. */
int repo_squash(struct app *app, const struct space *space, const char *branch, const char *message,
                const char *author, struct err *err);
/* -ENXIO where there is none; main cannot be deleted. */
int repo_ref_delete(struct app *app, const struct space *space, enum repo_ref kind,
                    const char *name, struct err *err);

/* A file's content on its way: `length` bytes come out of `fd`, then its end. Fewer mean that
 * something went wrong. */
struct repo_file {
    int fd; /* a pipe; owned */
    uint64_t size, length;
    char commit[65], oid[65]; /* of the blob */
    char lfs[65];             /* SHA-256 where it is in Git LFS, else "" */
    struct link_job *job;     /* owned */
};
#define REPO_FILE_NONE ((struct repo_file){.fd = -1})
/* `length` UINT64_MAX: to the end. */
int repo_file(struct app *app, const struct space *space, const char *rev, const char *path,
              uint64_t offset, uint64_t length, struct repo_file *ret, struct err *err);
/* Writes a pack of all that is in the commit's tree to `out`, and names the tree. */
int repo_pack(struct app *app, const struct space *space, const char *rev, int out, char tree[65],
              struct err *err);
/* The same for a stored LFS object. */
int repo_lfs_object(struct app *app, const struct space *space, const char *oid, uint64_t offset,
                    uint64_t length, struct repo_file *ret, struct err *err);
/* A README.md, judged as a submission would (job/cmd_card.c): {"errors":[...],"warnings":[...]}. */
int repo_card(struct app *app, const char *readme, bool is_space, json_t **ret, struct err *err);
/* What the Space keeps in /data (job/cmd_data.c): a folder's list as JSON, a file, and the removal
 * of either. Paths are the bytes that the demo gave them, "" for /data itself. */
int repo_data_list(struct app *app, const struct space *space, const char *path, json_t **ret,
                   struct err *err);
int repo_data_file(struct app *app, const struct space *space, const char *path, uint64_t offset,
                   uint64_t length, struct repo_file *ret, struct err *err);
int repo_data_delete(struct app *app, const struct space *space, const char *path, struct err *err);
void repo_file_close(struct repo_file *f);
/* All of a small file; -EFBIG where it has more than `out` takes. */
int repo_file_read(struct app *app, const struct space *space, const char *rev, const char *path,
                   struct buf *out, struct err *err);
