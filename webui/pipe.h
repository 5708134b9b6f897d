/* Answers that come out of a job's pipe: as they come, never held as a whole. */
#pragma once

#include "webui/http.h"
#include "webui/link.h"
#include "webui/repo.h"

/* The answer is what comes from `fd` until its end, or `length` bytes (UINT64_MAX: not known). Both
 * `fd` and `job` are taken, also on failure (NULL). Where the job fails in the middle, the
 * connection is cut, so that nobody takes half for a whole. */
struct MHD_Response *pipe_response(int fd, struct link_job *job, uint64_t length);

/* The same for a job whose output begins only if it can do what it was asked: waits for the first
 * byte, and is an error page where there is none. */
enum MHD_Result pipe_answer(struct req *r, struct link_job *job, const char *type);

/* A file's content; takes it. */
struct MHD_Response *pipe_file(struct repo_file *f);
