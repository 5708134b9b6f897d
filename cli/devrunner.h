/* The runner that builds for `vitrine dev`: a vitrine-runner as `up` has one, with us as its
 * supervisor and its site, without a gateway; it starts nothing (lifecycle.max_workers is 0). */
#pragma once

#include "common/conf.h"
#include "common/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct devrunner {
    pid_t pid;   /* 0: none */
    int sup_fd;  /* SUP_* of common/proto.h; its end of file is ours, and then the runner's */
    int site_fd; /* as webui has it */
};
#define DEVRUNNER_INIT ((struct devrunner){.sup_fd = -1, .site_fd = -1})

/* SUP_READY comes when it serves. The caller is a child subreaper. */
int devrunner_start(struct devrunner *r, const struct conf *conf, const char *programs,
                    struct err *err);
/* Ends it in order, with all that it runs, and waits for that. */
void devrunner_stop(struct devrunner *r);
/* It has ended by itself: what it ran is ended, too. */
void devrunner_bury(struct devrunner *r);
