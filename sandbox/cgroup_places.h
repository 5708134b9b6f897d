/* Where this machine's hierarchies of control groups are, and which groups we are in. */
#pragma once

#include "cgroup.h"

#include <limits.h>

/* As /proc tells: "" where there is none. */
struct cgroup_places {
    char own[CGROUP_HIERARCHIES][PATH_MAX]; /* our own group's path in the hierarchy */
    char root[CGROUP_HIERARCHIES][PATH_MAX], point[CGROUP_HIERARCHIES][PATH_MAX]; /* of its mount */
};

/* As v1 calls it; "" of the unified hierarchy. */
const char *cgroup_kind_name(enum cgroup_kind kind);
/* Is `word` an element of the comma-separated `list`? */
bool cgroup_list_has(const char *list, const char *word);

/* Large, so there is one; each call reads it anew. */
const struct cgroup_places *cgroup_places_find(void);
/* Our own group's folder in that hierarchy; `top`: of the topmost one that we see. The caller's, or
 * -errno. */
int cgroup_places_open(const struct cgroup_places *p, enum cgroup_kind kind, bool top);
/* How many CPUs the limits of the groups that we are in leave us (cpu.max of v2, cpu.cfs_quota_us
 * of v1), a part of one counted as one; 0: no limit. */
unsigned cgroup_places_cpus(const struct cgroup_places *p);
