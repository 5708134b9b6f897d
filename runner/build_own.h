/* A build, for the files of builds alone. */
#pragma once

#include "common/buf.h"
#include "runner/lock.h"
#include "runner/loop.h"
#include "runner/site.h"

#include <stdbool.h>
#include <stdint.h>

#define BUILD_VERSION "1" /* of what builds make: another one makes every environment anew */
#define BUILD_ADD_MAX 8

/* Where it is. In order, but that what is there already is not made again; from each it may also
 * come to its end (build.over), and where it is held up it tries again. */
enum build_phase {
    PHASE_PLAN,
    PHASE_QUEUED, /* for its turn */
    PHASE_DEBS,   /* packages.txt */
    PHASE_DEBS_SEAL,
    PHASE_MODELS, /* preload_from_hub */
    PHASE_MODELS_SEAL,
    PHASE_RESOLVE,
    PHASE_EQUAL, /* waits while another build makes the same */
    PHASE_INSTALL,
    PHASE_SEAL
};

struct build {
    struct build *next;
    struct runner *r;
    struct space *space; /* whose `jobs` counts it */
    struct version version;
    uint64_t row; /* of life.db's builds */
    uint64_t id;  /* N of envs/.new-N */
    enum build_phase phase;
    bool anew;                /* what was resolved before does not count */
    bool cancelled;           /* nobody waits for its result */
    bool over;                /* it has failed, or was cancelled; what it left is being removed */
    bool removing, none_left; /* none_left: there is nothing to remove */
    char reason[512];         /* of a failure */

    /* what was planned */
    char sdk_version[64], python_version[64];
    char python[256], python_id[65], base[65], digest[65];
    bool bound, has_files, pins_sdk;
    char command[4096];           /* app_build_command, "" for none */
    char variables[65];           /* of those that it sees, "" without any */
    char debs_digest[65];         /* of packages.txt, "" without one */
    char add[BUILD_ADD_MAX][160]; /* requirements that the SDK adds */
    unsigned added;
    char request[65];

    /* what packages.txt led to */
    char debs_request[65], layer[65]; /* "" for none */
    struct buf debs;                  /* a line for each package */

    /* preload_from_hub: its entries, one a line; what it led to, "" for nothing; what
     * vitrine-preload says is in there */
    struct buf preload;
    char models_request[65], models[65];
    struct buf found;
    unsigned found_stale; /* what was there was gone again, in a row */

    /* what was resolved */
    bool resolved;
    struct buf lock;
    enum lock_kind kind;
    bool wheels; /* all of it, the installer says */
    char key[65];

    /* the sandbox that works on it, and one that waits for the lock (build_job.c) */
    struct build_job *job, *ahead;
    bool awaits_end; /* the step begins when `ahead` has ended */
    bool planned;
    unsigned held_up; /* starts that the platform was in the way of, in a row */

    struct loop_timer deadline, retry, look, begin_ahead;
    uint64_t look_ms; /* when the last look at its size began; 0: none is under way */
    uint64_t logged, wait_line_ms;
    bool log_cut;
};

static inline bool build_is_sealing(const struct build *b)
{
    return b->phase == PHASE_SEAL || b->phase == PHASE_DEBS_SEAL || b->phase == PHASE_MODELS_SEAL;
}

/* ---- build.c: who is next ---- */
/* Lets those begin, or go on, for whom there is room. */
void build_queue(struct runner *r);
/* Another one, which makes the very same environment right now; or NULL. */
struct build *build_equal_one(const struct build *b);

/* ---- build_look.c ---- */
/* What some build made is there: on the disk, and known to life.db. */
bool build_is_whole(struct runner *r, const char *key);

/* ---- build_steps.c: which step follows which ---- */
void build_steps_init(struct build *b);
/* Begins the step of b->phase in a sandbox; build_job_ended follows. */
void build_start_step(struct build *b);
/* Stores what the steps made (env_seal); done(b, code) follows. */
void build_begin_seal(struct build *b, enum build_phase phase, const char *name,
                      void (*done)(void *b, int code));
/* From the loop, after a pause. */
void build_go_on_later(struct build *b, uint64_t ms);
/* Layer and models are there: the environment is next, and then the end. */
void build_begin_env(struct build *b);
/* Its row in life.db. */
void build_save(struct build *b, const char *state);
/* What build_job.c hears: a step's sandbox printed its plan, and ended. `ok`: it said that it was
 * done, and ended in order. `code`: the platform's errno where it could not even begin. */
void build_take_plan(struct build *b, const char *json);
void build_job_ended(struct build *b, bool ok, int code);
void build_ahead_ended(struct build *b);

/* ---- build_debs.c: packages.txt ---- */
/* Whether there is nothing to unpack: none is asked for, or these words led to a layer before. */
bool build_debs_known(struct build *b);
/* Begins the step where there is something to unpack; goes on with build_models_begin. */
void build_debs_begin(struct build *b);
/* Its sandbox is done. */
void build_debs_unpacked(struct build *b);

/* ---- build_limits.c: its time, and its room on the disk ---- */
void build_limits_init(struct build *b);
void build_watch(struct build *b); /* as long as it works; more than once is fine */
void build_unwatch(struct build *b);

/* ---- build_end.c ---- */
void build_fail(struct build *b, const char *reason); /* the first reason counts */
/* It has failed, or nobody wants it: tells those who wait, and takes away what there is of it. */
void build_give_up(struct build *b);
/* Everything is there; `env` is "" where it needs none. */
void build_succeed(struct build *b, const char *env);
/* It is over: it goes away, and what is left of it with it, once its sandboxes have ended. */
void build_end(struct build *b);

/* ---- build_job.c: the sandboxes ---- */
/* Begins the sandbox of b->phase; build_job_ended follows, unless this fails. */
int build_job_start(struct build *b, struct err *err);
/* While the packages are being resolved: begins the sandbox that installs what all may use. It gets
 * ready, and waits for the lock. What comes of it is of no account until build_job_start takes it.
 */
void build_job_ahead(struct build *b);
void build_job_drop_ahead(struct build *b);
/* Ends what there is; false where there is nothing. build_job_ended or build_ahead_ended follows.
 */
bool build_job_stop(struct build *b);

/* ---- build_log.c ---- */
/* One line of the build's log, which those who wait see as well. */
void build_say(struct build *b, const char *step, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- build_plan.c: what a version asks for ---- */
/* Reads the card: which versions of SDK and interpreter. */
void build_read_card(struct build *b);
/* Reads the answer of `vitrine-job plan`: 0, or -EPROTO. */
int build_read_plan(struct build *b, const char *json, char *warning, size_t size);
bool build_needs_env(const struct build *b);
/* npm makes it, or a command of the bundle's own. */
bool build_is_npm(const struct build *b);
/* The variables of its Space: b->variables, and a word about them in the log. On failure the build
 * has one. */
int build_read_variables(struct build *b, bool tell);
/* Whether its card has an app_build_command, or a preload_from_hub. */
bool build_card_asks(struct runner *r, uint64_t space_id, const struct version *v);
/* b->request, from all that was planned. */
void build_make_request(struct build *b);
/* b->key, from the lock and b->kind. */
void build_make_key(struct build *b);
