/* The control groups of sandboxes: limits, numbers, and the end of everything in one.
 *
 * Where the unified hierarchy (v2) offers memory, pids and cpu to us, they are used there. A hybrid
 * host has them as v1 hierarchies: those are used then, beside a v2 group that has no controller
 * and still freezes and kills. Without any (an ordinary user without delegation) there are no
 * groups, and the caller is told what is missing.
 *
 * Below our own group lies one folder "vitrine-INSTANCE" in each hierarchy in use, and in it one
 * group a sandbox: "g...", with the worker's id as an extended attribute, so that a starter that
 * was restarted finds it again. A process that makes one sandbox for itself has no folder, and one
 * group "vitrine-run-PID-PIDNAMESPACE". */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum cgroup_kind {
    CGROUP_MEMORY,
    CGROUP_PIDS,
    CGROUP_CPU,
    CGROUP_CPUACCT,
    CGROUP_IO,
    CGROUP_UNIFIED
};
#define CGROUP_HIERARCHIES 6 /* five of v1, and the unified one */

struct cgroup_host {
    char name[80];                   /* "vitrine-INSTANCE" */
    bool single;                     /* no folder, one sandbox at a time */
    int base_fd[CGROUP_HIERARCHIES]; /* the group that `name` lies in, or -1 */
    int fd[CGROUP_HIERARCHIES];      /* the folder `name`, or what groups lie in; or -1 */
    bool v2[CGROUP_HIERARCHIES];     /* this kind is a controller of the unified hierarchy */
    unsigned serial;
};

struct cgroup_limits {
    uint64_t memory_bytes, cpu_milli; /* 0: none */
    uint64_t connections_bytes; /* what connections buffer, on top of memory_bytes: in v1, as v2
                                 * counts it in there. 0: none */
    uint32_t pids, io_weight;
};

struct cgroup_stat {
    uint64_t memory_bytes, memory_peak_bytes, cpu_us, oom_kills, pids_refused;
    uint64_t cpu_periods, cpu_throttled; /* tenths of a second in which it ran, was held back */
    uint32_t pids;
};

/* One sandbox's group; an empty name where there is none. */
struct cgroup_group {
    char name[40];
};

/* The group's name where `single`: what such a process leaves behind when it is killed is swept
 * away by the next one that sees that it is gone. */
void cgroup_single_name(struct cgroup_group *g);

/* Finds and makes what there is (`instance` NULL: single); hierarchies that cannot be had stay -1.
 * -ENOTSUP if none can. `weigh_io` false: of v1, not the hierarchy of weights, for which every disk
 * would be looked at. */
int cgroup_host_open(struct cgroup_host *h, const char *instance, bool weigh_io, struct err *err);
/* Removes the folder where it is empty, and closes. */
void cgroup_host_close(struct cgroup_host *h);
/* True where this limit can be set. */
bool cgroup_host_has(const struct cgroup_host *h, enum cgroup_kind kind);
/* True where some disk's scheduler heeds weights: bfq, or the cost model of v2. A v1 hierarchy of
 * them is used only then, since each hierarchy costs every start something. */
bool cgroup_io_is_weighed(void);
/* "memory, cpu" or "" if memory, pids and cpu all can be limited. */
void cgroup_host_missing(const struct cgroup_host *h, char *out, size_t len);
/* Removes groups in which nothing runs any more, if this process made them or one that is gone. */
void cgroup_host_sweep(struct cgroup_host *h);
/* Makes the folder of that hierarchy again: an earlier starter of this instance takes it away when
 * it ends and sees nothing in it. */
int cgroup_host_remake(struct cgroup_host *h, enum cgroup_kind kind);

/* Makes an empty group under a fresh name, in the unified hierarchy: it is entered by the clone, so
 * it must be there before. Of a group that could not be made whole, cgroup_remove takes the rest.
 */
int cgroup_create(struct cgroup_host *h, struct cgroup_group *ret, struct err *err);
/* The group's folder in the unified hierarchy for CLONE_INTO_CGROUP, or -1. The caller closes. */
int cgroup_unified_fd(const struct cgroup_host *h, const struct cgroup_group *g);
/* How many v1 hierarchies are in use. */
int cgroup_count_v1(const struct cgroup_host *h);
/* Makes the group in those, and opens the files by which a child writes itself into it (`tasks`):
 * that may be done meanwhile. How many, which the caller closes. */
int cgroup_create_v1(struct cgroup_host *h, const struct cgroup_group *g,
                     int joins[CGROUP_HIERARCHIES], struct err *err);
/* Sets them and reads each back. A file that cannot be written is an error; what the kernel took
 * and does not show as it was asked for is named in `unconfirmed` ("memory, swap"; "" for none),
 * and is the caller's to judge. */
int cgroup_set_limits(struct cgroup_host *h, const struct cgroup_group *g,
                      const struct cgroup_limits *limits, char unconfirmed[64], struct err *err);
/* Whether the kernel runs this group only where nobody else wants to (cpu.idle, Linux 5.15; see
 * cpu_class.h): 1, 0, or -1 where it has no such thing. Set: true if it was taken. */
int cgroup_batch(const struct cgroup_host *h, const struct cgroup_group *g);
bool cgroup_set_batch(const struct cgroup_host *h, const struct cgroup_group *g, bool batch);
/* CPU time used, in microseconds (`g` NULL: by all groups of the folder); 0 where nobody counts. */
uint64_t cgroup_cpu_us(const struct cgroup_host *h, const struct cgroup_group *g);
/* Its limit in thousandths of a CPU; 0 where there is none. */
uint64_t cgroup_cpu_milli(const struct cgroup_host *h, const struct cgroup_group *g);
/* The threads in it, as this process sees them: how many, at most CGROUP_MAX_THREADS. */
#define CGROUP_MAX_THREADS 4096
int cgroup_threads(const struct cgroup_host *h, const struct cgroup_group *g,
                   pid_t out[CGROUP_MAX_THREADS]);
/* Remembers whose group it is, on the group itself; and finds it again: true if there is one. */
bool cgroup_is_marked(const struct cgroup_host *h, const struct cgroup_group *g);
void cgroup_mark(struct cgroup_host *h, const struct cgroup_group *g, uint64_t worker_id);
bool cgroup_find(const struct cgroup_host *h, uint64_t worker_id, struct cgroup_group *ret);

/* Ends everything in it at once (cgroup.kill, or each pid until none is left). */
void cgroup_kill(struct cgroup_host *h, const struct cgroup_group *g);
/* False where there is no group of which numbers could be had. */
bool cgroup_stat(struct cgroup_host *h, const struct cgroup_group *g, struct cgroup_stat *ret);
/* Of these numbers the two that say that a limit was met. */
void cgroup_stat_refusals(const struct cgroup_host *h, const struct cgroup_group *g,
                          struct cgroup_stat *ret);
/* Removes it if nothing is in there: 0, or -EBUSY. Waits for nobody. */
int cgroup_remove_empty(struct cgroup_host *h, const struct cgroup_group *g);
/* Kills what is left and removes it. 0, or -EBUSY if something would not go within 1 s. */
int cgroup_remove(struct cgroup_host *h, const struct cgroup_group *g);
