/* [hardware] flavours: what a Space's workers may be given by name, as Hugging Face has it
 * (cpu-basic, cpu-upgrade, ...). A flavour is a list of limits; what it does not name is the
 * configuration's.
 *
 *   flavours = cpu-basic: memory=1G cpu=1; cpu-upgrade: memory=8G cpu=4 tmp_size=2G;
 *              t4-small: memory=15G cpu=4 gpu=1
 *
 * gpu=N are whole GPUs (gpus.h).
 * cpu-basic is always there: the configuration's own limits, unless the list says otherwise. */
#pragma once

#include "conf.h"
#include "err.h"
#include "space_limits.h"

#include <stdbool.h>

#define FLAVOUR_NAME 33 /* bytes, with the NUL */
#define FLAVOUR_DEFAULT "cpu-basic"

struct flavour {
    char name[FLAVOUR_NAME];
    struct space_limits own; /* where `has` */
    bool has[LIMIT_COUNT];
    unsigned gpus;
};

/* [a-z0-9][a-z0-9-]*, at most 32 */
bool flavour_name_ok(const char *name);
/* Calls `each` (may be NULL) for every flavour, the default one first; what is not 0 ends it and is
 * returned. -EINVAL says what is wrong in the list. */
int flavours_each(const char *list, int (*each)(void *arg, const struct flavour *f), void *arg,
                  struct err *err);
/* False where there is none of that name: *ret is the nearest one then. Of a name that Hugging Face
 * has that is the smallest flavour with at least as much memory, CPU and GPUs, else one with as
 * many GPUs, else the largest. A name with a GPU means a flavour with one, as long as there is any,
 * and a name without one never does. Of any other name it is the default one. */
bool flavour_find(const struct conf *c, const char *name, struct flavour *ret);
/* How many GPUs the name has on Hugging Face; 0 also where it has no such name. */
unsigned flavour_hub_gpus(const char *name);
/* Any flavour has a GPU. */
bool flavours_have_gpu(const struct conf *c);
void flavour_apply(const struct flavour *f, struct space_limits *l);
