/* The three programs under `up`: started, brought together, restarted, stopped.
 *
 * Each has a SOCK_SEQPACKET socket to `up` as its descriptor 3 and the configuration as 4
 * (common/service.h). Whenever one of them is (re)started, `up` makes fresh sockets between it and
 * its peers and sends both ends. */
#pragma once

#include "common/conf.h"
#include "common/err.h"

struct accesslog;
struct publics;
struct tlskeep;

struct supervise {
    const struct conf *conf;       /* gateway.threads is a number */
    const char *program_dir;       /* where vitrine-runner and the others lie */
    const struct publics *publics; /* the visitors' listening sockets, for the gateway */
    struct tlskeep *tls;           /* certificates of HTTPS; NULL: there is none */
    int site_fd;                   /* the listening socket of webui.sock */
    int run_fd;                    /* DATA/run */
    struct accesslog *access;      /* the access log's file, for the gateway */
    /* Runs in a child of its own once the programs are started, and says what there is to say; its
     * result is that process's exit status. Not 0: the system did not come up, and it is stopped.
     */
    int (*opening)(void *arg);
    void *opening_arg;
};

/* Blocks the signals it serves, starts everything and returns when everything is gone: 0 where it
 * was told to (SIGTERM, SIGINT; SIGHUP, but where there is HTTPS and the terminal has not gone: its
 * certificates are read again), else a negative errno. Call it single-threaded, as a child
 * subreaper. */
int supervise_run(const struct supervise *s, struct err *err);
