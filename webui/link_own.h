/* For link.c and link_job.c alone: questions to the runner that wait for their answers. */
#pragma once

#include "webui/link.h"

#include <pthread.h>
#include <stdbool.h>

/* One question to the runner and its answer; it is who waits for it that has it. */
struct ask {
    struct ask *next;
    enum proto_type type;
    uint64_t id;      /* job, request or command id */
    const void *body; /* a struct of that type; NULL for a command, whose question is its row */
    int fd;           /* that goes with it, -1 none */
    bool unsent;      /* the runner's socket was full */
    bool answered;
    int stream; /* of a job: comes before the answer; -1 not yet, or taken */
    bool streamed;
    int code;
    char message[1024];
    int fds[2];
    unsigned n_fds, current;
    uint64_t worker_id;
};

struct link {
    struct app *app;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t answer;
    int peer;     /* -1 while there is no runner; closed and replaced by the thread only */
    int new_peer; /* handed over, not yet taken by the thread; -1 none */
    int wake_fd;  /* there is a new peer, or the thread is to end */
    bool stop;
    bool blocked, nudge_unsent; /* something waits for room in the runner's socket */
    struct ask *asks;
    uint64_t next_id;
    uint64_t watched_ms;
};

uint64_t link_new_id(struct link *l);
/* Puts the question. Commands (no body) are asked by their row. */
void link_ask_begin(struct link *l, struct ask *a);
/* Waits for the answer, or (`stream`) for what comes before it. */
int link_ask_wait(struct link *l, struct ask *a, bool stream, unsigned timeout_ms, struct err *err);
void link_ask_end(struct link *l, struct ask *a);
