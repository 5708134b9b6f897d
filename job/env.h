/* The commands of a build (runner/build.h), each in a sandbox of its own:
 *
 *   vitrine-job plan --python PATH --python-version V --sdk NAME      in the version's tree
 *       stdout: `plan {json}`: which interpreter, whether there is anything to install, a digest of
 *       all that says what
 *   vitrine-job resolve --python PATH [--add REQUIREMENT]...          in the version's tree
 *       stdout: `log STEP TEXT`, `lock LINE` for each package, `result {json}`
 *   vitrine-job install --python PATH --kind shared|own|bound [--add REQUIREMENT]...
 *       stdin: the lock. Fills ENV_DIR, which is empty and is where the environment will be used.
 *       stdout: `log STEP TEXT`, `result {}`
 *
 * resolve runs whatever source packages want to run, so what it says is a claim; install of the
 * kind `shared` takes wheels with the lock's hashes and nothing else. `error SENTENCE` and status 1
 * otherwise. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define ENV_DIR "/run/vitrine/env"
#define ENV_WORK ENV_DIR "/.work" /* what only the build needs; the runner removes it */
#define ENV_PYTHON ENV_DIR "/bin/python"
#define ENV_UV "/run/vitrine/uv"
#define ENV_ADD_MAX 8

struct env_options {
    const char *python, *python_version, *sdk, *kind;
    const char *add[ENV_ADD_MAX];
    unsigned added;
    const char *build;   /* app_build_command, or NULL */
    unsigned proxy_port; /* of the way out, which is waited for; 0: none */
};

int env_plan(const struct env_options *o, struct err *err);
int env_resolve(const struct env_options *o, struct err *err);
int env_install(const struct env_options *o, struct err *err);

/* A command's name and options: 0, or -EINVAL where it is none of these, or misused. */
int env_main(int argc, char **argv, int *ret_status);
