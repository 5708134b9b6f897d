/* How what a build made gets its name: DATA/envs/.new-N becomes DATA/envs/KEY, whole or not at all.
 *
 * A version waits for that, and putting hundreds of megabytes onto the disk takes longer than
 * starting it. So an environment has its name first, and is written afterwards: meanwhile its
 * `about` says "boot ID" with the running kernel's. Whatever is killed, the kernel keeps what was
 * written; if the machine itself goes down, that ID is another one, the environment may lack
 * anything, and the next runner throws it away: it is built again when it is needed. What the build
 * needed alone (KEY/.rest) goes then as well.
 *
 * Layers, models and what npm made are on the disk before they have their name: their files go to,
 * or come from, what other Spaces share. */
#pragma once

#include "common/err.h"

struct runner;
struct build;

/* In a child process, then done(b, code) in the loop: gives what .new-N/NAME holds the name of
 * b->key. */
int env_seal(struct build *b, const char *name, void (*done)(void *b, int code), struct err *err);
/* Once that name is known to life.db: puts it onto the disk, if that was not done. */
void env_settle(struct runner *r, const char *key);
/* At the runner's start, before anybody wants one: those of another boot are taken away, the others
 * settled. */
void env_settle_all(struct runner *r);
