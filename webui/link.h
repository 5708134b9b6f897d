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

/* Has the body unpacked in a job sandbox: the version's record (owned by the caller), or -code with
 * a message for the submitter. `body_fd` stays the caller's. */
int link_unpack(struct link *l, int body_fd, int64_t space_id, const char *space, const char *name,
                unsigned timeout_ms, json_t **ret_record, struct err *err);

struct link_log {
    int fds[2]; /* oldest part first, owned by the caller; -1 where there is none */
    unsigned count, current;
    uint64_t worker_id;
};
/* Opens a Space's newest log of that kind. */
int link_log_open(struct link *l, int64_t space_id, enum proto_log_kind kind, struct link_log *ret,
                  struct err *err);

/* Asks for the workers' numbers (stats.h) for the next seconds. */
void link_watch(struct link *l);
