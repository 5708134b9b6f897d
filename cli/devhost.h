/* What `vitrine dev` uses of this machine where it builds nothing. */
#pragma once

#include "devrun.h"

#include <jansson.h>

/* Packages of a virtual environment (in the folder, else the one that is active), and the folder's
 * node_modules. */
void devhost_find(struct devrun *run, const char *dir);
/* Says what a deploy would install, and how to have it here. `record`: of its card. */
void devhost_advise(const struct devrun *run, const char *dir, const json_t *record);
