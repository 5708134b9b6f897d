/* Builds: what a version needs before it can be started, made beside whatever serves meanwhile.
 *
 * A version whose SDK or requirement files ask for Python packages runs in an environment,
 * envs/KEY, which is never changed once it has that name. Its key says all that it depends on, so
 * that equal wishes are built once (build_env.h). The way there, each step in a sandbox of its own
 * (build_job.h) that has the Space's uid and none of the worker's files:
 *
 *   plan      what is asked for, in which interpreter; asked for before? then nothing is built
 *   (queue)   build.parallel builds at a time, in order
 *   debs      packages.txt -> a layer for its root, which the steps that follow have as well
 *   models    preload_from_hub -> a cache of models, whose files all Spaces share (build_models.h)
 *   resolve   requirements -> lock; source packages may run code here, so the lock is a claim
 *   install   lock -> environment, in a fresh folder; one that is shared by all owners takes wheels
 *             with the lock's hashes and nothing else
 *   seal      size, sync, the name
 *
 * Killed at any moment, what is half made lies in envs/.new-N and is removed by the next runner.
 *
 * What a build is, and where it may be: build_own.h. Which step follows which: build_steps.c, with
 * build_plan.c, build_debs.c and build_models.c for what they are of. Who is next, and how one is
 * called off: build.c. Deadline and room: build_limits.c. What becomes of it: build_end.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct runner;
struct space;
struct version;

enum build_state {
    BUILD_MISSING, /* nobody knows, or its environment is gone: build_begin */
    BUILD_NO_ENV,  /* it needs none */
    BUILD_HAS_ENV,
};
/* Whether the version can be started. `env` becomes the key of its environment, `layer` that of the
 * Debian packages that are laid over its root (layer.h), `models` that of its cache of models, ""
 * without one. */
enum build_state build_look(struct runner *r, uint64_t space_id, const struct version *v,
                            char env[65], char layer[65], char models[65]);

/* Begins what the version lacks; the Space is in STARTING or SWITCHING. Goes on with
 * space_begin_start, or with EV_BUILD and then EV_BUILT or EV_BUILD_FAIL. */
void build_begin(struct space *s, const struct version *v);
/* Its build, if there is one, is of no use any more. */
void build_cancel(struct space *s, const char *why);
void build_cancel_all(struct runner *r);
