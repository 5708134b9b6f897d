/* What a job is, for the two files that know: job.c, its life, and job_recipe.c, what runs in it.
 */
#pragma once

#include "common/lines.h"
#include "common/proto.h"
#include "runner/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct runner;
struct space;
struct worker;

struct job_kind {
    const char *command; /* of vitrine-job */
    const char *failed;  /* "... failed: REASON" */
    const char *logged;  /* what the build log says; NULL for what makes no version */
    bool writes;         /* alone with the repository */
    bool streams;        /* its stdout is for webui */
    bool serves;         /* for as long as somebody reads */
    bool data;           /* of /data, and not of the repository */
    bool yields;         /* ended when another one is to write: it is tried again later */
    bool bare;           /* of no Space */
};
/* NULL where there is none. */
const struct job_kind *job_kind(uint32_t kind);

struct job {
    struct job *next;
    struct runner *r;
    struct space *space; /* NULL: of none */
    const struct job_kind *kind;
    bool own;        /* the runner's: nobody waits for its result */
    bool writes;     /* as its kind, or as the repository must be made first */
    uint64_t job_id; /* webui's */
    uint64_t id;     /* its worker's, and N of .new-N */
    char name[256];  /* the upload's file name */
    char args[sizeof(((struct proto_job *)0)->args)];
    uint32_t args_len;
    bool begun;
    int body;              /* -1: it has none, or it was handed on */
    struct worker *worker; /* NULL: waits, or is over */
    int out;
    struct loop_io *out_io;
    struct lines lines;   /* that it prints */
    uint64_t progress_ms; /* CLOCK_MONOTONIC of the last word about it */
    struct loop_timer timer;
    char *result; /* the JSON it printed */
    char error[1024];
    int error_code;
    char sha[65]; /* "": no version came of it */
};

/* Whether it must be alone with the repository; asked anew whenever it could start, since a job
 * before it may have made that. */
bool job_writes(const struct job *j);
/* Makes its folders, and says what is to be run: `start` is filled but for ids and log. */
int job_recipe(struct job *j, struct proto_start *start, struct err *err);
