/* What changes a Space: a submission, a command, a deletion. Each is written into site.db, told to
 * the runner, and waited for. */
#pragma once

#include "common/err.h"
#include "webui/app.h"
#include "webui/site.h"

#include <pthread.h>

/* Puts "owner/name" into `full`, or says what is wrong with one of the names. */
int submit_check_name(const char *owner, const char *name, char full[200], struct err *err);

struct submit_bundle {
    const char *owner, *name; /* as they came: they are checked here */
    const char *filename;     /* of the archive, or "" */
    const char *message;      /* how it came */
    int fd;                   /* a seekable file; stays the caller's */
};

struct submit_result {
    struct space space;
    int64_t command_id;
};

/* Unpacks and checks it in a job sandbox, makes it the Space's version, and waits until the runner
 * has accepted that. Where anything is wrong, nothing was changed, and a new Space is not there. */
int submit_run(struct app *app, const struct submit_bundle *bundle, struct submit_result *ret,
               struct err *err);

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
 * a submission left. It ends by itself, and soon after link_stop; the caller joins it. */
int submit_finish_leftovers(struct app *app, pthread_t *ret_thread, struct err *err);
