/* The root of a sandbox, made in its own mount namespace by its PID 1 while that has all
 * capabilities there. */
#pragma once

#include "common/err.h"
#include "sandbox/plan.h"
#include "sandbox/spec.h"

/* Cuts every tie of propagation with the namespace that this one was copied from. */
int mounts_private(struct err *err);

/* A procfs of this pid namespace that is mounted nowhere, with everything in it, for PID 1 alone:
 * its descriptor. */
int mounts_private_proc(struct err *err);

/* Builds the new root on top of "/": the plan's entries, /proc, /tmp, /dev/shm, the home with the
 * version's tree under a writable layer. The sources' descriptors are used up. Returns the root's
 * descriptor. */
int mounts_build(struct plan *p, const struct sandbox_spec *s, struct err *err);

/* Makes it the root, lets go of the old one, and closes it for writing. */
int mounts_enter(int root_fd, struct err *err);
