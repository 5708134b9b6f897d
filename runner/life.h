/* What happened: life.db, which this program alone writes. A write that fails (a full disk) is
 * reported to the caller and never stops the platform: what is in memory goes on, and is written
 * again later (space.c). */
#pragma once

#include "common/err.h"
#include "common/gpus.h"
#include "common/usage.h"

#include <stdbool.h>
#include <stdint.h>

struct runner;
struct space;
struct worker;

int life_open(struct runner *r, struct err *err);
/* Moves the write-ahead log into the database: the part that waits for the disk, so it is done when
 * nobody waits for us, and never by a commit. */
void life_checkpoint(struct runner *r);

/* A transaction around several of the calls below. Where one of them failed, life_commit rolls
 * everything back and returns the failure of the first. */
void life_begin(struct runner *r);
int life_commit(struct runner *r, struct err *err);

struct life_space {
    uint32_t uid_index;
    char stage[32];
    char reason[512];
    uint64_t version_id, worker_id;
    bool data_known; /* /data was measured */
    struct usage data;
    uint32_t data_project;
};
/* 1, 0 for none, or a negative errno. */
int life_space_load(struct runner *r, uint64_t space_id, struct life_space *ret, struct err *err);
/* A new row with a uid of its own. */
int life_space_create(struct runner *r, uint64_t space_id, uint32_t *ret_uid_index,
                      struct err *err);
int life_space_save(struct runner *r, const struct space *s, struct err *err);
/* What its /data takes, as s->volume has it. `quota` is the kind. */
int life_data_save(struct runner *r, const struct space *s, const char *quota, struct err *err);
/* Its rows, but for the events. Its uid may be given to another Space from here on. */
int life_space_remove(struct runner *r, uint64_t space_id, struct err *err);
/* Ids of the Spaces whose stage says that something is to run, or that are being deleted: the first
 * one after `after`. */
int life_busy_space_after(struct runner *r, uint64_t after, uint64_t *ret_id, struct err *err);

/* Fills w->id with a new one. */
int life_worker_create(struct runner *r, struct worker *w, struct err *err);
int life_worker_save(struct runner *r, const struct worker *w, const char *exit_reason,
                     struct err *err);

struct life_worker {
    uint64_t id, space_id, version_id;
    char state[16];
    char boot_id[37];
    int pid;
    uint32_t port;
    uint64_t restarts, created_ms, ready_ms, requests;
    char gpus[GPUS_TEXT];
};
/* The first worker after `after` that is not known to have ended. */
int life_live_worker_after(struct runner *r, uint64_t after, struct life_worker *ret,
                           struct err *err);
/* That one ended while nobody looked. */
int life_worker_end(struct runner *r, uint64_t id, bool failed, const char *exit_reason,
                    struct err *err);
/* The newest worker of a Space, 0 for none. */
uint64_t life_newest_worker(struct runner *r, uint64_t space_id);
/* Did a worker of that version ever answer? */
bool life_version_was_ready(struct runner *r, uint64_t space_id, uint64_t version_id);

/* Calls fn for each worker of the Space that failed after `since_ms`, oldest first. */
void life_failures(struct runner *r, uint64_t space_id, uint64_t since_ms,
                   void (*fn)(void *arg, uint64_t ended_ms, bool was_ready), void *arg);

/* Every command up to this one is done. */
uint64_t life_commands_all_done_to(struct runner *r);
bool life_command_is_done(struct runner *r, uint64_t id);
int life_command_done(struct runner *r, uint64_t id, int code, const char *message,
                      struct err *err);
