/* The `git` program, run inside a job sandbox: with an environment of ours and nobody's
 * configuration, without hooks, filters, transports or prompts. */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { GIT_OID_MAX = 64, GIT_ERROR_MAX = 400 };

struct git_limits {
    uint64_t max_input; /* bytes of a pack that is taken */
    uint64_t memory;    /* bytes of one allocation of git's; 0: no limit */
};

/* Makes this process's environment the one that every git below gets: GIT_DIR is `repo`. Called
 * once, before any other function here. */
int git_environment(const char *repo, const struct git_limits *limits, struct err *err);

/* A git that runs. `out` is the reading end of its stdout. */
struct git {
    pid_t pid; /* 0 none */
    FILE *out; /* owned */
    int said;  /* a nameless file with its stderr; owned */
};
#define GIT_NONE ((struct git){.said = -1})

/* `in` (-1: nothing) becomes its stdin; it stays the caller's. argv[0] is "git". */
int git_begin(struct git *git, const char *const argv[], int in, struct err *err);
/* Waits for it: 0, or -EIO with the last line that it said on stderr. */
int git_end(struct git *git, struct err *err);
/* Ends one that still runs. */
void git_free(struct git *git);
#define _cleanup_git_ _cleanup_(git_free)

/* From beginning to end; its stdout is appended to `out` (NULL: dropped). The exit status is put
 * into *ret_status where that is not NULL, and is no failure then. */
int git_run(const char *const argv[], int in, struct buf *out, int *ret_status, struct err *err);

/* The same for a git that says on stderr what it left out: any word there is a failure. */
int git_run_silent(const char *const argv[], int in, struct err *err);

/* git with `in` and `out` as they are, stderr into a nameless file whose descriptor is returned in
 * *ret_said: its exit status (128 + signal where one ended it), or a negative errno. */
int git_pass(const char *const argv[], int in, int out, int *ret_said, struct err *err);

/* The sentence that git said last ("fatal: " and "error: " taken away), as one clean line. */
void git_last_words(int said, char out[GIT_ERROR_MAX]);

/* Whether the text is 40 or 64 hex digits. */
bool git_is_oid(const char *text);

/* A nameless file in memory with these bytes, at its beginning. */
int git_input(const void *data, size_t len, struct err *err);
