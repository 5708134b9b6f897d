/* What changes a Space: a submission, a command, a deletion. Each is written into site.db, told to
 * the runner, and waited for. */
#pragma once

#include "common/err.h"
#include "webui/app.h"
#include "webui/link.h"
#include "webui/site.h"

#include <pthread.h>

/* Puts "owner/name" into `full`, or says what is wrong with one of the names. */
int submit_check_name(const char *owner, const char *name, char full[200], struct err *err);

struct submit_bundle {
    const char *owner, *name; /* as they came: they are checked here */
    const char *filename;     /* of the archive, or "" */
    const char *message;      /* how it came: also its commit's */
    const char *author;       /* who submits: the commit's */
    int fd;                   /* a seekable file; stays the caller's */
};

struct submit_result {
    struct space space;
    char sha[65];       /* the commit */
    int64_t command_id; /* of its deployment; 0 where there was nothing to deploy */
};

/* Unpacks and checks it in a job sandbox, makes it the Space's version, and waits until the runner
 * has accepted that. Where anything is wrong, nothing was changed, and a new Space is not there. */
int submit_run(struct app *app, const struct submit_bundle *bundle, struct submit_result *ret,
               struct err *err);

/* What changes a Space that is there, by its repository. */
struct submit_change {
    const struct space *space;
    enum proto_job_kind kind;
    const struct link_arg *args; /* the job's; ends with a key of NULL */
    const char *message;         /* how it came; NULL: the commit's first line */
    int fd;                      /* the job's body, -1 none; stays the caller's */
    /* Takes what the job has to say, where it streams: from `out`, which is the caller's to read to
     * its end. NULL where it does not. */
    int (*take)(void *arg, int out, struct err *err);
    void *arg;
    bool unless_current; /* nothing is deployed where the Space runs that commit already */
};

/* Has the job done, and what it made of main deployed, which is waited for as in submit_run. Errors
 * besides: -ESTALE another commit came first, -ENXIO no such revision, -EEXIST, -EDQUOT. */
int submit_change(struct app *app, const struct submit_change *change, struct submit_result *ret,
                  struct err *err);

/* A commit's ndjson (job/ndjson.h) on a branch; main is deployed. */
int submit_commit(struct app *app, const struct space *space, int fd, const char *branch,
                  const char *author, struct submit_result *ret, struct err *err);

/* A new commit with the tree of an earlier version or commit `rev`. */
int submit_rollback(struct app *app, const struct space *space, const char *rev, const char *author,
                    struct submit_result *ret, struct err *err);

/* A new commit with a tree that comes as a pack (repo_pack) in `fd`. */
int submit_pack(struct app *app, const struct space *space, int fd, const char *tree,
                const char *message, const char *author, struct submit_result *ret,
                struct err *err);
/* One commit with main's files takes the place of all its history. */
int submit_squash(struct app *app, const struct space *space, const char *message,
                  const char *author, struct submit_result *ret, struct err *err);

/* Every commit without the LFS objects of that list of SHA-256, which are removed; main is deployed
 * where it is another one by that. */
int submit_forget(struct app *app, const struct space *space, const json_t *shas,
                  struct submit_result *ret, struct err *err);

/* start stop restart pause resume: waits until it is done. */
int submit_command(struct app *app, const struct space *space, const char *verb, struct err *err);

/* A Space without a version, which stays: its row is in *ret. -EEXIST with the one that is there.
 * `prepare` (NULL none) gives it what it has to have before anybody sees it. */
int submit_create(struct app *app, const char *owner, const char *name,
                  int (*prepare)(void *arg, struct app *app, const struct space *space,
                                 struct err *err),
                  void *arg, struct space *ret, struct err *err);

/* Under another name. Its worker is replaced, for what it was told of its name. */
int submit_move(struct app *app, const char *owner, const char *name, const char *to_owner,
                const char *to_name, struct err *err);

/* Ends and removes the Space. */
int submit_delete(struct app *app, const struct space *space, struct err *err);

/* At the start of the program, before it serves: a thread finishes deletions and removes what half
 * a submission left, or deploys it where its commit was made. It ends by itself, and soon after
 * link_stop; the caller joins it. */
int submit_finish_leftovers(struct app *app, pthread_t *ret_thread, struct err *err);
