/* life.db: what the runner says of Spaces and workers. Read only, by one connection behind a
 * mutex; it is opened when it is there (the runner makes it). While it is not, there is simply
 * nothing to tell. */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct life;

struct life_space {
    char stage[32];   /* "" where the runner does not know the Space yet */
    char reason[512]; /* a sentence, or "" */
    int64_t version_id;
    int64_t worker_id;         /* the one that serves; 0 none */
    int64_t worker_version_id; /* what that one runs */
    int64_t data_bytes;        /* what its /data takes; -1 before it was measured */
    int64_t data_inodes;
    char data_quota[16]; /* "project", or "soft" */
    char ran_into[512];  /* the limits that it ran into, in words, or "" */
    char gpus[256];      /* "nvidia0, nvidia1": those of the one that serves, or "" */
};

struct life_worker {
    int64_t id, space_id, version_id, pid, restarts, created_ms, ready_ms, requests;
    char state[16];
    char gpus[256]; /* as above */
};

int life_open(struct life **ret, const char *path, struct err *err);
void life_close(struct life *l);
/* Mounted by itself (sandbox/service.h), a file stays what it was while another takes its name
 * outside: what is read then is of the past. And one that it may not read any more is opened to it
 * by its next start. */
bool life_is_replaced(const struct life *l);

void life_space(struct life *l, int64_t space_id, struct life_space *ret);

/* All that live. *ret is owned by the caller. */
int life_workers(struct life *l, struct life_worker **ret, size_t *ret_n, struct err *err);

/* Newest first; space_id 0: of all. A new JSON array, or NULL. */
json_t *life_events(struct life *l, int64_t space_id, unsigned limit);

/* 1 and its result where the runner did the command, else 0. */
int life_command_done(struct life *l, int64_t command_id, int *ret_code, char message[1024]);
