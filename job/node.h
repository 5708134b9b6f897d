/* Builds with npm: sdk node, and whatever has an app_build_command. Same commands as for Python
 * (env.h), told apart by --sdk and --build:
 *
 *   plan      what package.json and its lock say, as a digest
 *   resolve   nothing but that: npm resolves while it installs
 *   install   ENV_DIR/node_modules, if nothing in it depends on the rest of the bundle; else
 *             ENV_DIR/app, the bundle with its modules in it and after its build command
 *
 * Scripts of packages run here and nowhere else. */
#pragma once

#include "common/err.h"
#include "job/env.h"

#include <stdbool.h>

/* Is it one of these builds? */
bool node_is_meant(const struct env_options *o);

int node_plan(const struct env_options *o, struct err *err);
int node_resolve(const struct env_options *o, struct err *err);
int node_install(const struct env_options *o, struct err *err);
