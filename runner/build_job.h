/* The sandbox of a build's step, for the two files that know: build_job.c, its life, and
 * build_recipe.c, what runs in it. */
#pragma once

#include "runner/build_own.h"

#include "common/lines.h"
#include "common/proto.h"

struct egress;
struct worker;

struct build_job {
    struct build *b;
    enum build_phase phase;
    enum lock_kind kind; /* of an install */
    struct worker *worker;
    struct egress *egress; /* its way to the package indexes */
    int in;                /* where one that is ahead reads the lock from, else -1 */
    int out;
    struct loop_io *out_io;
    struct lines lines; /* that it prints */
    bool resulted;
};

/* Where it writes: NAME of env_make_fresh. */
const char *build_job_folder(const struct build_job *j);
/* Fills `start` but for ids and log, and the worker's limits. */
int build_recipe(const struct build_job *j, struct worker *w, struct proto_start *start,
                 struct err *err);
