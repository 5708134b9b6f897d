/* The environments on the disk: DATA/envs/KEY/env, with `about` beside it that says what it is.
 * Never changed once they have that name (build_seal.h); those that no version in use needs are
 * removed. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct runner;
struct build;

/* DATA/envs/KEY/env */
void env_path(const struct runner *r, const char *key, char *out, size_t size);
/* It is whole. */
bool env_is_there(const struct runner *r, const char *key);
/* The folder that the steps of a build write to, DATA/envs/.new-N/NAME, made as the Space's. */
int env_make_fresh(struct build *b, const char *name, struct err *err);
void env_fresh_path(const struct build *b, const char *name, char *out, size_t size);

/* In child processes: done(b, code) in the loop. Tells whether .new-N takes more than the
 * configuration allows (EFBIG: bytes, EMFILE: files); removes .new-N. */
int env_measure(struct build *b, void (*done)(void *b, int code), struct err *err);
int env_remove_fresh(struct build *b, void (*done)(void *b, int code), struct err *err);
/* What a sealed one takes, as it was measured then. */
uint64_t env_bytes(const struct runner *r, const char *key);

/* Looks for what nobody needs any more, from time to time. */
void env_collect_begin(struct runner *r);
/* In a child process: half-made ones of earlier runners are removed. */
int env_sweep(const struct runner *r, struct err *err);
