/* Compiled Python files of environments. A build does not wait for them (they took more than half
 * of one): they are made afterwards, in a sandbox of a job's kind that sees the environment
 * read-only and runs nothing of it, once the version that it was built for serves. The environment
 * itself is never written to again: they are a folder of their own, DATA/envs/KEY/bytecode/env,
 * which has that name when it is whole, and which workers that start from then on see laid over the
 * environment. One is made at a time. Killed at any moment, the next runner begins that one anew.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct runner;

void bytecode_begin(struct runner *r);
/* There is a new environment, perhaps. */
void bytecode_wake(struct runner *r);
/* No new one, and the one that is being made ends. */
void bytecode_stop(struct runner *r);
void bytecode_free(struct runner *r);
/* Is the environment in use, as its files are being compiled? */
bool bytecode_reads(const struct runner *r, const char *key);
