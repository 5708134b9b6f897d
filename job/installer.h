/* The two installers, and their command lines: uv where the operator has it, else pip. */
#pragma once

#include "job/env.h"
#include "job/steps.h"

#define INSTALLER_ARGS 64

#define INDEXES "the package indexes" /* what a build has a proxy for, in its words */

struct args {
    const char *v[INSTALLER_ARGS]; /* ended by NULL */
    unsigned n;
    bool too_many;
};
void args_add(struct args *a, const char *arg);

bool installer_is_uv(void);
/* Its name and version for the key of an environment: "pip", "uv". */
const char *installer_name(void);
/* It is a uv that writes and takes pylock.toml (job/pylock.h). */
bool installer_has_pylock(void);
/* Makes the folders that an installer works in. */
int installer_begin(struct err *err);
/* Makes the empty virtual environment ENV_DIR, if it is not there. */
int installer_venv(const struct env_options *o, struct err *err);
/* The beginning of a command line: up to and with "pip install" or "uv pip install", for that
 * interpreter. */
int installer_args(const struct env_options *o, const char *verb, const char *python,
                   struct args *a, struct err *err);
/* Runs it. The reason of a failure is what it said last. */
int installer_run(const char *step, const struct args *a, struct err *err);
