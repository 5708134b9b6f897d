/* The builds of `vitrine dev`: a process of its own that has a runner build a folder as a deploy
 * would, in a data folder that is kept.
 *
 *   devbuild.c     asks for a build, hears of its end
 *   devbuilder.c   that process: the data folder, the runner, the build's log on standard error
 *   devrunner.c    the runner, started and stopped
 *   devsite.c      what the runner is told, and what it wrote down
 *
 * The runner is there while something is built, and for a while after that: the data folder, which
 * all folders share, is somebody else's then. The process ends with its socket; what it was in the
 * midst of is taken back. */
#pragma once

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"
#include "devsite.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct devbuild {
    pid_t pid; /* 0: none */
    int fd;    /* readable when a result is there */
};
#define DEVBUILD_INIT ((struct devbuild){.fd = -1})

struct devbuilt {
    char data[4096];
    struct devsite_result keys;
    bool bound; /* any file that changes may change it */
};

/* The folder where what is built is kept, without another: in the user's cache. */
int devbuild_data(char *out, size_t size, struct err *err);
/* Starts the process; there is no thread yet. `conf` is what the runner gets; `programs`: where it
 * lies. */
int devbuild_open(struct devbuild *b, const struct conf *conf, const char *programs,
                  struct err *err);
/* `folder`: whose environment; `tree`: what is to be built, not to be touched until the result is
 * there; `sha` of it; `record`: of its card (job/record.h). One at a time. */
int devbuild_ask(struct devbuild *b, const char *folder, const char *tree, const char *sha,
                 const json_t *record, struct err *err);
/* The result is to come soon: -ECANCELED, if it is not there already. */
void devbuild_cancel(struct devbuild *b);
/* Waits for the result: 0, or why there is none (-EPIPE: the process has ended). */
int devbuild_take(struct devbuild *b, struct devbuilt *ret, struct err *err);
/* Ends the process, and waits for that. */
void devbuild_close(struct devbuild *b);

/* ---- for both ends: one JSON object a line ---- */
#define DEVBUILD_LINE_MAX (4u << 20)
/* Sends the object, which becomes this function's. */
int devbuild_send(int fd, json_t *o, struct err *err);

/* ---- devbuilder.c ---- */
/* The process itself, until the end of `fd`. */
void devbuilder_run(int fd, const struct conf *conf, const char *programs);
