/* The life of a Space as one table of states and events. Pure: no clock, no I/O, no memory.
 *
 * A state is where a Space is; an event is what happened to it; the table answers every pair with
 * the state that follows and what is to be done (space.c does it). Whoever wants a new state or
 * event adds a column or a row in lifecycle.c and sees every pair that must be answered. */
#pragma once

#include "common/proto.h"

#include <stdbool.h>

/* X(NAME, stage, a visit helps) */
#define LC_STATES(X)                                                                               \
    X(EMPTY, STAGE_NO_APP_FILE, false)             /* nothing was deployed yet */                  \
    X(SLEEPING, STAGE_SLEEPING, true)              /* no worker; a visit wakes it */               \
    X(STARTING, STAGE_APP_STARTING, true)          /* a worker starts, or waits for a place */     \
    X(BACKOFF, STAGE_APP_STARTING, true)           /* it failed; a pause before the next try */    \
    X(BUILDING, STAGE_BUILDING, true)              /* its environment is made; then it starts */   \
    X(RUNNING, STAGE_RUNNING, true)                /* a worker serves */                           \
    X(SWITCHING, STAGE_RUNNING_APP_STARTING, true) /* one serves, its successor starts beside */   \
    X(REBUILDING, STAGE_RUNNING_BUILDING, true)    /* one serves, its successor is built beside */ \
    X(UNBUILT, STAGE_BUILD_ERROR, false)  /* its build failed, until somebody deploys or starts */ \
    X(FAILED, STAGE_RUNTIME_ERROR, false) /* given up, until somebody deploys or starts */         \
    X(STOPPED, STAGE_STOPPED, false)      /* stopped by its owner; only `start` helps */           \
    X(PAUSED, STAGE_PAUSED, false)        /* paused; a deploy does not start it either */          \
    X(DELETING, STAGE_DELETING, false)    /* its workers end, then it is forgotten */

/* X(NAME, "what happened") */
#define LC_EVENTS(X)                                                                               \
    X(DEPLOY, "deploy")       /* command: this version is to run */                                \
    X(START, "start")         /* command */                                                        \
    X(STOP, "stop")           /* command */                                                        \
    X(RESTART, "restart")     /* command */                                                        \
    X(PAUSE, "pause")         /* command */                                                        \
    X(RESUME, "resume")       /* command */                                                        \
    X(CANCEL, "cancel")       /* command: no build goes on */                                      \
    X(DELETE, "delete")       /* command */                                                        \
    X(WAKE, "wake")           /* a visitor waits */                                                \
    X(IDLE, "idle")           /* the gateway let go of the serving worker */                       \
    X(READY, "ready")         /* the starting worker answered HTTP */                              \
    X(FAIL, "failed start")   /* the starting worker did not come up; there are tries left */      \
    X(FAIL_LAST, "given up")  /* ... and none is left */                                           \
    X(CRASH, "crash")         /* the serving worker ended by itself; there are tries left */       \
    X(CRASH_LAST, "given up") /* ... and none is left */                                           \
    X(RETRY, "retry")         /* the pause is over */                                              \
    X(BUILD, "build")         /* what was to start needs an environment that is not there */       \
    X(BUILT, "built")         /* ... and now it is */                                              \
    X(BUILD_FAIL, "build failed")                                                                  \
    X(EMPTIED, "emptied")   /* the last process of the Space is gone */                            \
    X(SHUTDOWN, "shutdown") /* the platform stops */

enum lc_state {
#define X(NAME, stage, wakes) LC_##NAME,
    LC_STATES(X)
#undef X
        LC_STATE_COUNT
};

enum lc_event {
#define X(NAME, text) EV_##NAME,
    LC_EVENTS(X)
#undef X
        LC_EVENT_COUNT
};

/* What is to be done, in this order. */
enum lc_do {
    LC_REFUSE = 1 << 0,    /* nothing; who asked is told why not */
    LC_NEVER = 1 << 1,     /* nothing; it cannot happen, so it is logged */
    LC_FORGIVE = 1 << 2,   /* forget earlier failures */
    LC_END = 1 << 3,       /* stop every worker of the Space, starting and draining ones too */
    LC_END_NEXT = 1 << 4,  /* stop the starting worker */
    LC_END_CUR = 1 << 5,   /* stop the serving worker */
    LC_TAKE = 1 << 6,      /* the event's version becomes the Space's */
    LC_TAKE_NEXT = 1 << 7, /* the starting worker's version becomes the Space's */
    LC_PROMOTE = 1 << 8,   /* the starting worker serves, with its version; the old one drains */
    LC_PAUSE = 1 << 9,     /* set the timer of the back-off */
    LC_START = 1 << 10,    /* start a worker of the Space's version, once there is a place */
    LC_BESIDE = 1 << 11,   /* start a worker of the event's version, once there is a place */
    LC_TELL = 1 << 12,     /* tell the gateway where things stand, though nothing changed */
    LC_FORGET = 1 << 13,   /* remove its files and rows */
};

struct lc_step {
    enum lc_state next;
    unsigned todo; /* enum lc_do, or-ed */
};

struct lc_step lifecycle_step(enum lc_state state, enum lc_event event);

enum proto_stage lifecycle_stage(enum lc_state state);
bool lifecycle_wakes(enum lc_state state); /* a visitor's request may lead to a worker */
/* What a Space is in whose stage was kept and that has no process: APP_STARTING and RUNNING_* are
 * the caller's to judge (adopt.c). */
enum lc_state lifecycle_state_of(enum proto_stage stage);
const char *lifecycle_state_name(enum lc_state state); /* "SWITCHING" */
const char *lifecycle_event_name(enum lc_event event); /* "deploy" */
/* Why `event` was refused in `state`: a sentence for who asked. */
const char *lifecycle_refusal(enum lc_state state, enum lc_event event);
