/* The site's side of the socket to the runner: one thread receives, any thread asks and waits.
 *
 * The runner may be restarted at any moment: link_set_peer then replaces the socket. What was asked
 * and not answered is asked again (the same ids, the same descriptors), and commands are looked up
 * in life.db, so those who wait notice nothing but the time. */
#pragma once

#include "common/err.h"
#include "common/proto.h"
#include "webui/app.h"

#include <jansson.h>
#include <stdint.h>

/* Starts the thread. The hub, stats and life of `app` must be there. */
int link_start(struct link **ret, struct app *app, struct err *err);
void link_stop(struct link *l); /* those who wait get -ECANCELED; the thread ends */
void link_free(struct link *l); /* after link_stop, when nobody waits any more */

/* `fd` becomes the link's. */
void link_set_peer(struct link *l, int fd);

/* There are new commands. Never waits: without a runner now, the next one is told at once. */
void link_nudge(struct link *l);

/* Waits until the runner did the command: 0 or -code with its message; -ETIMEDOUT. */
int link_command_wait(struct link *l, int64_t command_id, unsigned timeout_ms, struct err *err);

/* A job that the runner has done in a sandbox (job/main.c says what each does). */
struct link_job;
struct space;
struct link_arg {
    const char *key, *value; /* value NULL: left out */
};
struct link_job_ask {
    enum proto_job_kind kind;
    const struct space *space;   /* NULL for one of no Space */
    const char *name;            /* of the upload; may be NULL */
    const struct link_arg *args; /* ends with a key of NULL; may be NULL */
    int body_fd;                 /* stays the caller's, open until the job is freed; -1 none */
};
/* -EINVAL where an argument is too long. Nothing is waited for. */
int link_job_begin(struct link *l, const struct link_job_ask *q, struct link_job **ret,
                   struct err *err);
/* The reading end of what it has to say (the caller's), as soon as it runs; or, where it failed
 * before that, -code with a message for the submitter. */
int link_job_stream(struct link_job *job, unsigned timeout_ms, struct err *err);
/* Waits for its end: *ret (may be NULL) is its result, owned by the caller; or -code with a message
 * for the submitter. */
int link_job_wait(struct link_job *job, unsigned timeout_ms, json_t **ret, struct err *err);
/* Nobody waits for it any more. NULL is fine. */
void link_job_free(struct link_job *job);

struct link_log {
    int fds[2]; /* oldest part first, owned by the caller; -1 where there is none */
    unsigned count, current;
    uint64_t worker_id;
};
/* Opens a Space's newest log of that kind. */
int link_log_open(struct link *l, int64_t space_id, enum proto_log_kind kind, struct link_log *ret,
                  struct err *err);

/* A memfd with the counters as Prometheus reads them: the caller's; or -code. */
int link_metrics(struct link *l, struct err *err);

/* Asks for the workers' numbers (stats.h) for the next seconds. */
void link_watch(struct link *l);
