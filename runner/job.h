/* Unpack jobs: `vitrine-job unpack` in a sandbox as the Space's uid, for webui. A job is a worker
 * (worker.h) without a Space's life: it writes into versions/SPACE_ID/.new-N, which becomes
 * versions/SPACE_ID/SHA when it succeeded; its result goes to webui as a memfd. */
#pragma once

#include "common/err.h"
#include "common/proto.h"

#include <stdbool.h>

struct runner;
struct space;

/* A JOB message of webui's; takes its descriptor. Always answered by a JOB_RESULT. */
void job_begin(struct runner *r, struct proto_msg *m);
/* Packs the repository of a Space that has no job. */
int job_pack_begin(struct space *s, struct err *err);
bool job_pack_runs(const struct runner *r);
/* Ends the jobs of a Space, or of all. */
void job_cancel(struct space *s);
void job_cancel_all(struct runner *r);
