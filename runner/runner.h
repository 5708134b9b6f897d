/* What all parts of the runner share: its configuration, its places on disk, its databases, its
 * links. One of it, made by main.c; the parts reach each other through it. */
#pragma once

#include "common/gpus.h"
#include "common/keys.h"
#include "common/proto.h"
#include "common/service.h"
#include "common/store.h"
#include "common/userns.h"
#include "runner/budget.h"
#include "runner/link.h"
#include "runner/loop.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define RUNNER_SPACE_BUCKETS 1024

struct space;
struct worker;
struct gateway;
struct job;
struct chore;
struct indexes;
struct build;
struct volumes;
struct unrecorded;
struct metrics;
struct bytecode;

struct runner {
    struct service service;
    struct loop *loop;
    char data[PATH_MAX - 256]; /* absolute, no link in it */
    char programs[PATH_MAX - 256];
    char boot_id[37];
    struct userns_range range;
    unsigned char box_pub[KEYS_BOX], box_key[KEYS_BOX]; /* environment.h */
    struct store *life;
    struct store *site; /* NULL until webui has made it; see site.h */

    struct link supervisor, webui;
    struct gateway *gateways;
    uint16_t last_gateway;    /* serial */
    uint64_t gateway_gone_ms; /* CLOCK_MONOTONIC of the last one's end; 0 while one is connected */

    struct link starter;
    struct loop_io *starter_exit;
    int starter_pidfd;
    uint64_t starter_since_ms;
    unsigned starter_short_lives; /* in a row */
    struct loop_timer starter_timer;

    struct space *spaces[RUNNER_SPACE_BUCKETS]; /* those that are in memory, by id (space.c) */
    struct worker *workers; /* everything that the starter was asked to start and that is not gone,
                               jobs included */
    struct job *jobs;
    struct build *builds; /* in the order in which they came */
    struct loop_timer collect_timer;
    struct loop_timer pack_timer; /* looks at one repository after the other (pack.c) */
    DIR *pack_round;              /* NULL: between two rounds */
    struct budget budget;
    struct gpu_list gpus;         /* those that workers may be given (gpus.c) */
    struct budget gpu_line;       /* ... how many of them are taken, and who waits for some */
    struct loop_timer room_timer; /* asks the next idle worker to make room */

    struct unrecorded *unrecorded; /* commands that were done (commands.c) */
    uint64_t last_command_id;      /* the newest one that was read from site.db */
    uint64_t watch_until_ms;
    struct loop_timer watch_timer, tick_timer, prune_timer;
    uint64_t ticks;
    uint64_t pruned_to; /* the Space at which prune.c is */

    struct chore *chores;
    struct volumes *volumes;
    struct metrics *metrics;            /* NULL until something was counted (metrics.c) */
    struct bytecode *bytecode;          /* bytecode.c */
    struct indexes *indexes;            /* NULL until a build asks (indexes.c) */
    uint64_t first_job_id, last_job_id; /* worker ids of jobs; far above those of workers */

    int signal_fd;
    struct loop_io *signal_io;
    bool stopping; /* SIGTERM came */
    struct loop_timer stop_timer;
    int exit_status;
};

/* Ends the loop once everything is stopped, if it is to stop (main.c). */
void runner_check_stopped(struct runner *r);

#define conf_of(r) (&(r)->service.conf)
