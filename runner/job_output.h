/* What the program of a job prints: lines of progress, a result, or why not (job/job.h). */
#pragma once

#include "runner/job_recipe.h"

/* Reads `pieces` times at most of what is there. */
void job_output_read(struct job *j, unsigned pieces);
/* The job failed; the first reason counts. */
void job_fail(struct job *j, int code, const char *message);
