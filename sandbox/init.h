/* PID 1 of a sandbox: stays for the life of the worker. Reaps, keeps the log, answers who connects
 * to its socket, stops the program when asked or when nobody holds the lease any more, and leaves
 * its last word in the exit file. */
#pragma once

#include "common/err.h"
#include "common/space_limits.h"

#include <stdint.h>
#include <sys/types.h>

struct init;

/* All descriptors are taken over; -1 where there is none. */
struct init_config {
    uint64_t worker_id, lease_ms, log_bytes, log_rate;
    pid_t program;
    int proc_fd;   /* a procfs that shows everything in here */
    int report_fd; /* struct program_report, then the end of the file at exec */
    int log_rd;    /* what the program writes; non-blocking */
    int listener;  /* listening SEQPACKET socket */
    int control;   /* a control connection that exists already (its HELLO is taken as said) */
    int log[2];    /* the two parts of the log */
    int exit_fd;
    struct space_limits limits; /* for words: what the program ran into (init_met.h) */
    char *const *secrets;       /* NAME=VALUE, blanked in the log; read by init_new alone */
    size_t n_secrets;
    int relay; /* to the relay of its network (net_relay.h): its end is ours */
};

/* Everything that the filter will not allow any more: signalfd, sockets made non-blocking. */
int init_new(const struct init_config *conf, struct init **ret, struct err *err);

/* Never returns; the exit status is the program's (128 + N for a signal). */
_Noreturn void init_run(struct init *in);
