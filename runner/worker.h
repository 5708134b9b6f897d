/* A worker: a sandbox with a program in it, from the start to the last word. The only file of the
 * runner that knows that it is a process of this machine; for everybody else it starts, is dialed,
 * tells its numbers, is stopped and ends.
 *
 * Locally a worker is a sandbox that the starter makes (starter.h) and whose PID 1 listens on
 * DATA/run/workers/ID.sock. It owes nothing to this process: killed, a new runner connects to that
 * socket and has it back. The control connection that is kept to it is its lease. Its end shows as
 * the end of that connection and, where there is one, at the pidfd; the last word is in INIT_EXIT
 * or in DATA/run/workers/ID.exit. Jobs (job.h) are workers without a Space. */
#pragma once

#include "common/err.h"
#include "common/gpus.h"
#include "common/proto.h"
#include "runner/link.h"
#include "runner/loop.h"
#include "runner/site.h"
#include "runner/worker_end.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct runner;
struct space;
struct probe;

enum worker_state { /* as life.db spells them, in lower case */
                    WORKER_STARTING,
                    WORKER_READY,
                    WORKER_STOPPING,
                    WORKER_GONE,
                    WORKER_FAILED,
};

struct worker_stats {
    uint64_t memory_bytes, cpu_us;
    uint32_t pids;
};

/* What a gateway last told of it. */
struct worker_use {
    bool asked; /* a SLEEP_ASK is not answered yet */
    bool keeps; /* it has not let go since it was asked, or was given the route anew */
    uint64_t requests, bytes_in, bytes_out; /* since it learnt of the worker */
    uint32_t refs;
};

struct worker {
    struct worker *next; /* of the runner */
    struct runner *r;
    uint64_t id;
    struct space *space;    /* NULL for a job */
    struct version version; /* what runs in it */
    char env[65];           /* the key of its environment, "" without one */
    char layer[65];         /* ... and of the packages that are laid over its root */
    char models[65];        /* ... and of its cache of models */
    struct space_limits limits;
    char gpus[GPUS_TEXT]; /* its own, by their devices, with a blank between them (gpus.c) */
    unsigned n_gpus;
    bool data_read_only; /* its Space was over its limit (volume.h) */
    enum worker_state state;
    bool draining; /* its successor serves; it ends once its streams did */
    uint64_t restarts;
    uint64_t created_ms, ready_ms; /* since 1970 */
    pid_t pid;

    /* Set by the owner before worker_start or worker_adopt. on_started (may be NULL): the sandbox
     * was made, w->pid is known. on_end: it is over, and freed after the call. */
    void (*on_started)(struct worker *w);
    void (*on_end)(struct worker *w, const struct worker_end *end);
    void *owner;
    /* it ran into limits that are new in w->end.met; not called at its end */
    void (*on_met)(struct worker *w, uint32_t fresh);
    /* numbers were asked for and came */
    void (*on_stats)(struct worker *w, const struct worker_stats *s);

    /* readiness (space.c, probe.c) */
    struct probe *probe;
    struct loop_timer start_timer;

    /* use, as the gateway tells it (idle.c) */
    struct loop_timer idle_timer;
    struct worker_use *use; /* by each gateway, by its index */
    unsigned n_use;
    bool asked;         /* may it sleep? Some of them have not answered yet */
    bool busy;          /* there were refs at the last answer or count */
    uint64_t active_ms; /* CLOCK_MONOTONIC of the last known use */
    uint64_t drain_until_ms;
    uint64_t requests, bytes_in, bytes_out; /* of all gateways, those that are gone included */
    uint64_t saved_requests;                /* in life.db */
    uint32_t refs;

    /* notes of the gateway about it (gateway.c) */
    uint64_t notes_since_ms;
    unsigned notes, notes_unsaid;

    /* worker.c's own */
    struct link control;
    int pidfd;
    struct loop_io *pid_io;
    struct loop_timer timer;
    bool started, reaping, killed, heard_exit;
    bool confirmed; /* PID 1 was made, and this runner knows it */
    uint64_t looked_ms;
    bool adopted; /* what it said first is no news */
    unsigned group_pending;
    struct worker_end end;
};

struct worker *worker_new(struct runner *r, struct space *s);
/* For one that was never started or adopted. */
void worker_free(struct worker *w);

/* Asks for the sandbox of `start`, whose ids, log and lease are filled in here. `stdio` is NULL or
 * the three descriptors of a job; all stay the caller's. On failure the worker is still the
 * caller's; on success it is the runner's until on_end. */
int worker_start(struct worker *w, struct proto_start *start, const int *stdio, struct err *err);
/* Takes a worker over that another runner started: w->id and w->pid say which. -ENOENT or
 * -ECONNREFUSED where it is gone. */
int worker_adopt(struct worker *w, struct err *err);
/* The last word of a worker that is gone, and the removal of what it left. */
void worker_bury(struct runner *r, uint64_t id, struct worker_end *ret);

/* A fresh connection to PID 1 over which sockets of the sandbox's network can be asked for. */
int worker_dial(struct worker *w, struct err *err);
/* Ends it: a polite word, and after `grace_ms` the kill of everything in it. */
void worker_stop(struct worker *w, uint64_t grace_ms);
void worker_kill(struct worker *w);
void worker_ask_stats(struct worker *w);
/* It ran into these limits, as seen from outside. */
void worker_met(struct worker *w, uint32_t met);
/* It is used: from time to time its PID 1 is to look what is full. */
void worker_look(struct worker *w);

/* starter.c tells these: */
void worker_started(struct worker *w, struct proto_msg *m);
void worker_group_stat(struct worker *w, const struct proto_group_stat *s);
void worker_starter_restarted(struct worker *w);

struct worker *worker_by_id(struct runner *r, uint64_t id);
const char *worker_state_name(enum worker_state s);
/* The errno of a start that says that the platform, not what was to be started, was in the way. */
bool worker_is_held_up(int code);
