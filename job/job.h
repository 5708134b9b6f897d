/* What every command of vitrine-job gets: its options, its places, and how it answers. */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "job/tree.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    JOB_ARGS_MAX = 64,
    JOB_RECORD_MAX = 240 * 1024, /* who reads the answer takes 256 KiB of it in all */
};

struct job {
    const char *name;   /* of the upload, for messages */
    const char *dest;   /* an empty folder: what becomes the version's tree */
    const char *repo;   /* the repository; NULL: only unpack can do without */
    const char *before; /* the tree of a Space that had none yet, or of an old version; or NULL */
    uint64_t max_unpacked, max_files;
    uint64_t max_file; /* bytes of one file in git; 0: no limit */
    uint64_t max_repo; /* bytes of the repository; 0: no limit */
    char *const *args; /* KEY=VALUE of who asks */
    size_t n_args;
    FILE *lines;      /* progress, result, error: stdout, or stderr where stdout is a body */
    char content[65]; /* tree_hash of the archive, where that is not the tree's; or "" */
    struct buf out;   /* the result: JSON, "" none */
    uint64_t last_ms;
    unsigned last_percent;
};

/* The value of a KEY=VALUE argument, or `fallback`. */
const char *job_arg(const struct job *job, const char *key, const char *fallback);
uint64_t job_number(const struct job *job, const char *key, uint64_t max, uint64_t fallback);

/* At most a hundred lines in all, so that they never fill the reader's limit. `arg` is the job. */
void job_progress(void *arg, uint64_t done, uint64_t total);
void job_step(struct job *job, const char *step);

/* Writes all of a JSON value to stdout, and frees it. */
int job_print(json_t *value, struct err *err);

/* The commands. Each returns 0 with job->out as the result, or a negative errno. */
int job_unpack(struct job *job, struct err *err);  /* stdin: an archive */
int job_commit(struct job *job, struct err *err);  /* stdin: ndjson (ndjson.h) */
int job_version(struct job *job, struct err *err); /* a commit that is there becomes a version */
int job_receive(struct job *job,
                struct err *err); /* git receive-pack; stdin and stdout: HTTP bodies */
int job_serve(struct job *job, struct err *err); /* advertisements, git upload-pack, files, LFS */
int job_read(struct job *job, struct err *err);  /* questions; stdout: JSON */
int job_ref(struct job *job, struct err *err);   /* branches and tags */
int job_lfs(struct job *job, struct err *err);   /* stdin: an LFS object */

int job_data(struct job *job, struct err *err); /* what is in /data; needs no repository */
int job_data_delete(struct job *job, struct err *err);
int job_card(struct job *job, struct err *err); /* stdin: a README.md; needs no repository */
int job_pack(struct job *job, struct err *err); /* takes care of the repository */

/* git's pre-receive hook, run by `receive`. An exit status. */
int job_pre_receive(void);
