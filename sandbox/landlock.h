/* Landlock, beside the mounts: a program writes below the few places that are its own, and no bug
 * in a mount's flags changes that. It also makes no device nodes, sends no signal out of the
 * sandbox, and (by the kernel's rule) changes no mount and traces nobody outside. */
#pragma once

#include "common/err.h"
#include "sandbox/spec.h"

/* What the kernel knows of it: its version, from LANDLOCK_MIN_ABI on of use here; else a negative
 * errno. Version 1 would forbid every rename from one folder to another. */
#define LANDLOCK_MIN_ABI 2
int landlock_abi(void);

/* Rules for the devices, in a sandbox's root: *ret is a descriptor, or -1 where the kernel has no
 * Landlock (`check` tells). */
int landlock_prepare(int *ret, struct err *err);
/* Adds what this order allows, and puts the calling process and all that it starts under them, for
 * good. Needs no_new_privs, and the sandbox's root as its own. -1 does nothing. */
int landlock_apply(int rules, const struct sandbox_spec *s, struct err *err);
