/* A Space in memory: where it is in the lifecycle table, its workers, and the doing of what the
 * table says. Loaded from site.db and life.db when somebody asks for it, let go when nothing of it
 * runs and nobody asked for long: a million sleeping Spaces cost rows, not memory. */
#pragma once

#include "common/err.h"
#include "runner/backoff.h"
#include "runner/budget.h"
#include "runner/lifecycle.h"
#include "runner/logs.h"
#include "runner/loop.h"
#include "runner/site.h"
#include "runner/volume.h"

#include <stdbool.h>
#include <stdint.h>

struct runner;
struct worker;
struct command;
struct build;

struct space {
    struct space *next; /* in its bucket */
    struct runner *r;
    uint64_t id;
    char owner[97], name[97];
    char full_name[200]; /* owner/name */
    char label[64];
    uint32_t uid_index;
    uint64_t sleep_after_ms;
    bool is_private;

    enum lc_state state;
    char reason[512];       /* for visitors and owners alike: a sentence without paths */
    struct version version; /* what runs, or would at a wake */
    struct version beside;  /* SWITCHING: the version that is to follow */
    bool version_was_ready;

    struct worker *cur;        /* the one that serves */
    struct worker *nxt;        /* the one that starts */
    unsigned workers;          /* all that are not gone yet, draining and stopping ones included */
    unsigned jobs;             /* unpack jobs and builds that hold on to it */
    bool build_anew;           /* the next build is to find out anew what requirements mean */
    struct build *build;       /* of what is to start next; NULL: none, or nobody waits for it */
    struct budget_claim claim; /* its place in the line, while it waits for one */
    struct budget_claim gpu_claim; /* ... and in that for GPUs */
    unsigned gpus_taken;           /* for its next start */
    uint64_t gpu_since_ms;         /* CLOCK_MONOTONIC: waits for some since then */
    struct backoff backoff;
    struct loop_timer retry_timer;
    struct loop_timer pack_timer; /* its repository is to be packed (pack.c) */

    bool watched; /* somebody waits for it: log lines of its start are sent on */
    struct loop_timer tail_timer;
    struct log_tail tail;

    struct volume volume; /* its /data */

    struct command *commands;        /* to be done, in order (commands.c) */
    bool unsaved;                    /* life.db could not take its row: try again */
    bool removing;                   /* its files are being removed (delete.c) */
    struct loop_timer removal_timer; /* tells that the removal could not begin ... */
    int removal_code;                /* ... and why, as an errno */
    bool lost_cur, lost_nxt;         /* ended while no runner was there (adopt.c) */
    uint64_t touched_ms;
};

/* A build is made for it, and is what its stage shows. */
static inline bool space_is_building(const struct space *s)
{
    return s->state == LC_BUILDING || s->state == LC_REBUILDING;
}

/* What comes with an event; all parts may be absent. */
struct space_what {
    const struct version *version; /* EV_DEPLOY */
    const char *reason;            /* becomes the Space's, for all to read */
    uint64_t command_id;           /* recorded as done together with the new state */
    uint64_t pause_ms;             /* EV_FAIL, EV_CRASH: until the next try */
};

/* In memory already, or NULL. */
struct space *space_find(struct runner *r, uint64_t id);
/* The Space, loaded if need be. NULL with -ENOENT in err where neither database knows it.
 * `full_name` (or NULL) makes its row in life.db if site.db does not know it yet: for its first
 * upload. */
struct space *space_get(struct runner *r, uint64_t id, const char *full_name, struct err *err);
struct space *space_by_label(struct runner *r, const char *label, struct err *err);
/* Reads name and sleep time anew from site.db, which may have changed. */
void space_refresh(struct space *s);

/* Something happened: does what the table says. 0, -EPERM with the reason where it is refused, or
 * the negative errno of a write to life.db (what was to be done is done all the same, and written
 * later). The Space may be gone afterwards if the event was EV_EMPTIED. */
int space_event(struct space *s, enum lc_event event, const struct space_what *what,
                struct err *err);

/* The worker that was to serve (or `served`) ended, or could not be started: another try after a
 * pause, or the end of trying. `reason` is for all to read. */
void space_failed(struct space *s, bool served, const char *reason);

/* The platform could not even try to start it: tried again until it can, and never given up. */
void space_held_up(struct space *s, const char *reason);

/* There is a free place for it: start the worker that it waits for. */
void space_place(struct space *s);
/* Gives free places to those that wait. */
void space_serve_line(struct runner *r);
/* Somebody waits for it to start. */
void space_watch(struct space *s);

/* A worker taken over from an earlier runner: it is counted, and called back for. */
void space_adopt(struct space *s, struct worker *w);
/* Looks for an answer of a worker that starts. */
void space_probe(struct space *s, struct worker *w);

/* Folders that its workers and jobs need, owned by its uid: 0 or an error. */
int space_make_folders(struct space *s, struct err *err);

/* Writes again what could not be written, lets go of what nobody needs. From time to time. */
void space_tick(struct runner *r);
/* Everything is stopped; the number of workers that are left to end. */
unsigned space_shutdown(struct runner *r);
/* Frees it; it has no worker, command or job. */
void space_free(struct space *s);
