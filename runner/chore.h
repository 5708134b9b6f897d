/* Work on disks that may take long (removing a tree, syncing one), done by a child process so that
 * nobody's wake waits for it. */
#pragma once

#include "common/err.h"

struct runner;
struct chore;

/* Forks; the child has no descriptor but stderr, runs fn(arg) and exits. `arg` is the child's copy
 * as it was at the call. done(owner, code) is called in the loop: 0, or the positive errno that fn
 * returned negated. On failure nothing was begun. */
int chore_begin(struct runner *r, int (*fn)(const void *arg, struct err *err), const void *arg,
                void (*done)(void *owner, int code), void *owner, struct err *err);
/* Kills those that still run (of that owner); done is not called. */
void chore_kill_all(struct runner *r);
void chore_kill_of(struct runner *r, const void *owner);
