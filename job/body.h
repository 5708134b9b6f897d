/* The body of a request to git, which may be compressed. */
#pragma once

#include "common/err.h"
#include "job/job.h"

#include <sys/types.h>

struct body_pipe {
    int fd;    /* what git reads; owned unless it is stdin itself */
    pid_t pid; /* of who inflates it; 0 none */
};

/* By the argument encoding=gzip; at most job->max_unpacked bytes come out. */
int body_begin(const struct job *job, struct body_pipe *ret, struct err *err);
void body_end(struct body_pipe *body);
