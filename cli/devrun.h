/* The programs that `vitrine dev` starts, each `vitrine-sandbox run`. */
#pragma once

#include "common/err.h"
#include "devbuild.h"
#include "devstage.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

struct devrun {
    char programs[3072];          /* where vitrine-sandbox, vitrine-job and vitrine-static are */
    char packages[4096];          /* site-packages of a virtual environment, or "" */
    char node_modules[4096];      /* of the folder, or "" */
    const struct conf *conf;      /* root and interpreter */
    const struct devbuilt *built; /* what was built for it, or NULL */
    const char *memory, *net;     /* as vitrine-sandbox takes them, or NULL */
    char *const *env;             /* NAME=VALUE, NULL-terminated */
    int listener;                 /* on which PID 1 hands out sockets */
    uint16_t public_port;         /* what visitors use */
};

/* What the folder's README.md says, read and checked in a sandbox just as at a submission: the
 * record of vitrine-job (job/record.h), a new reference. -EINVAL has its complaint. */
int devrun_card(const struct devrun *d, const struct folder *folder, json_t **ret, struct err *err);

/* Starts the program that the record names, in a process group of its own: its pid. */
int devrun_start(const struct devrun *d, const struct devstage *s, const json_t *record, pid_t *ret,
                 struct err *err);

/* Removes what sandboxes left in data/, which may belong to their user. */
void devrun_clean(const struct devrun *d, const struct devstage *s);
