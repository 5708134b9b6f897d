/* What a build made, as the sandbox of its program is given it: for the runner and for `vitrine
 * dev`.
 *
 *   DATA/envs/KEY/env        an environment (it may hold `app`, the application as its build left
 *                            it, or `node_modules`), a layer of Debian packages, a cache of models
 *   DATA/envs/KEY/bytecode   compiled Python files of an environment, laid over it */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define BUILT_ENV "/run/vitrine/env"
#define BUILT_PYTHON BUILT_ENV "/bin/python"

struct built {
    const char *data;                 /* absolute */
    const char *env, *layer, *models; /* keys, "" for none */
};

/* Takes a mount as START has it ("ro:SRC:DST"), or a variable ("NAME=VALUE"); a negative errno ends
 * what adds. */
typedef int built_add(void *arg, bool is_mount, const char *text);

/* envs/KEY/env */
void built_env_path(const char *data, const char *key, char *out, size_t size);
/* Whether it has a folder of that name. */
bool built_env_has(const char *data, const char *key, const char *name);
/* Compiled files of an environment, or "" where there are none (yet). */
void built_bytecode_path(const char *data, const char *key, char *out, size_t size);

/* All of it: mounts, PATH, VIRTUAL_ENV, LD_LIBRARY_PATH. */
int built_place(const struct built *b, built_add *add, void *arg);
/* A layer alone, as other steps of a build see it. */
int built_layer(const char *data, const char *key, built_add *add, void *arg);
/* The application, where the build made one of its own: it takes the place of the version's tree.
 * false where there is none, or no room. */
bool built_app(const struct built *b, char *out, size_t size);
