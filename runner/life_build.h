/* life.db's rows of builds and environments. As in life.h, a write that fails is told and stops
 * nothing. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct runner;
struct build;

/* 1: the newest build of the version that was done says so; `env` is "" where it needs none. 0:
 * there is none. */
int life_build_env(struct runner *r, uint64_t space_id, uint64_t version_id, char env[65],
                   struct err *err);
/* The same of the packages that are laid over its root. */
int life_build_layer(struct runner *r, uint64_t space_id, uint64_t version_id, char layer[65],
                     struct err *err);
/* ... and of its cache of models. */
int life_build_models(struct runner *r, uint64_t space_id, uint64_t version_id, char models[65],
                      struct err *err);
/* From here on nobody knows what the version needs. */
void life_build_forget(struct runner *r, uint64_t space_id, uint64_t version_id);
/* Fills b->row with a new one. `state` as in common/schema.c. */
int life_build_create(struct runner *r, struct build *b, const char *state, struct err *err);
int life_build_save(struct runner *r, const struct build *b, const char *state, const char *env,
                    struct err *err);
/* Those that an earlier runner did not bring to an end. */
int life_builds_lost(struct runner *r, struct err *err);

/* Which environment these wishes led to: 1, 0 or a negative errno. */
int life_resolution(struct runner *r, const char *request, char env[65], struct err *err);
int life_resolution_save(struct runner *r, const char *request, const char *env, struct err *err);

enum life_bytecode { BYTECODE_WANTED, BYTECODE_MADE, BYTECODE_FAILED }; /* as in common/schema.c */
/* `owner` is "" for one that everybody may use. */
int life_env_save(struct runner *r, const char *key, const char *owner, const char *python,
                  uint64_t bytes, enum life_bytecode bytecode, struct err *err);
/* One whose Python files are to be compiled, and its interpreter: 1, 0 or a negative errno. */
int life_env_uncompiled(struct runner *r, char key[65], char *python, size_t size, struct err *err);
/* What became of that; `bytes` come to what it takes. */
int life_env_compiled(struct runner *r, const char *key, enum life_bytecode state, uint64_t bytes,
                      struct err *err);
int life_env_known(struct runner *r, const char *key); /* 1, 0 */
int life_env_remove(struct runner *r, const char *key, struct err *err);
/* Notes for every environment that some Space's version or a worker needs that it is needed now. */
void life_envs_mark_used(struct runner *r);
uint64_t life_envs_bytes(struct runner *r);
/* The one that was not used for longest, after that one. */
bool life_env_unused_after(struct runner *r, uint64_t after_ms, const char *after_key, char key[65],
                           uint64_t *ret_used_ms, uint64_t *ret_bytes);
