/* What the parts of the supervisor share:
 *
 *   supervise.c  the loop, what happens to a program, the end of everything
 *   programs.c   starting a program, and handing over what it needs
 *   gateways.c   another gateway in the place of the one that serves
 *   upsock.c     the operator's questions, over a socket in the data folder */
#pragma once

#include "bounds.h"
#include "common/proto.h"
#include "supervise.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Places for programs: one each, one for a gateway that is to follow, and some for those that still
 * finish what they have. */
#define LEAVING_MAX 8
enum { GATEWAY, RUNNER, WEBUI, N_PROGRAMS };
enum { COMING = N_PROGRAMS, LEAVING, N_PLACES = LEAVING + LEAVING_MAX };

struct program {
    pid_t pid;  /* 0: not running */
    int sup_fd; /* our end of its descriptor 3 */
    /* a gateway's: our ends of its ROLE_SITE_DIAL, one for each loop; -1: none */
    int site_dials[CONF_THREADS_MAX];
    unsigned group; /* of bounds.h */
    bool ready;
    bool term_sent;
    uint64_t started_ms;
    uint64_t start_at_ms; /* while it is not running and should be */
    uint64_t until_ms;    /* COMING: it is ready by then; LEAVING: it has left by then */
    uint32_t connections; /* LEAVING: what it still has */
    unsigned quick_deaths;
};

enum phase { PHASE_RUN, PHASE_STOP_RUNNER, PHASE_STOP_REST, PHASE_ORPHANS, PHASE_DONE };

struct supervisor {
    const struct supervise *s;
    unsigned loops; /* of a gateway */
    struct program programs[N_PLACES];
    struct bounds *bounds; /* NULL: there are no control groups here */
    struct upsock *upsock; /* NULL: nobody can ask */
    int signal_fd;
    pid_t opening_pid;
    enum phase phase;
    uint64_t phase_deadline_ms;
    unsigned runner_stop_restarts;
    unsigned signals; /* that asked for the end */
    int result;       /* negative errno where it ends for another reason than a signal */
    struct err *err;
    sigset_t old_mask;
    struct proto_msg msg;
};

/* ---- programs.c ---- */

/* None, and nothing that would have to be closed. */
void program_clear(struct program *p);
void program_close_site_dials(struct program *p);
/* Of the program in a place: GATEWAY for all that are one. */
int program_kind(int place);
const char *program_name(int place);
enum proto_role program_role(int place);
/* Starts the program of a place, and hands over what it needs. */
int program_start(struct supervisor *v, int place, struct err *err);
/* Fresh ways to the site, for a gateway that comes or of whose earlier ones one broke. */
int program_site_dial(struct supervisor *v, int place, struct err *err);
/* The certificates, if there is HTTPS; before the sockets that need them. */
int program_certificates(struct supervisor *v, int place, struct err *err);
/* The visitors' listening sockets. */
int program_listen(struct supervisor *v, int place, struct err *err);
/* The file of the access log, if there is one. */
int program_log(struct supervisor *v, int place, struct err *err);
void program_terminate(struct supervisor *v, int place);

/* ---- gateways.c ---- */

/* Starts a gateway that is to follow. upsock_tell says how it went, once that is known. */
int gateways_restart(struct supervisor *v, struct err *err);
/* It is ready: it accepts from now on, and the one before it begins to leave. */
void gateways_ready(struct supervisor *v);
/* One in COMING or LEAVING has ended. `how`: "has ended with status 1" */
void gateways_ended(struct supervisor *v, int place, const char *how);
/* What is due; `*next` becomes the time of what is due after that, if it is sooner. */
void gateways_clock(struct supervisor *v, uint64_t now, uint64_t *next);
bool gateways_any(const struct supervisor *v);

/* ---- upsock.c ---- */

#define UPSOCK_POLLED 5 /* at most */
struct pollfd;

/* DATA/run/up.sock. NULL with the reason in the log: `up` goes on without. */
struct upsock *upsock_open(const char *data);
void upsock_close(struct upsock *u);
/* Fills `p` with what is to be watched: how many. */
int upsock_poll(const struct upsock *u, struct pollfd *p);
void upsock_events(struct supervisor *v, const struct pollfd *p, int n);
/* The new gateway serves (0), or not (an errno and the reason): those who wait for that hear it. */
void upsock_tell(struct supervisor *v, int code, const char *message);
