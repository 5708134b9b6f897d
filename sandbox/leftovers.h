/* What ended sandboxes leave behind is taken away by a process of its own beside the starter: some
 * of it waits for the kernel (grace periods, the last process of a control group, a relay's end),
 * and the mounts' files, a hundred thousand of them perhaps, are freed by whoever lets go of the
 * mounts last. So the starter never waits, and the work is done where batch groups are
 * (cpu_class.h), a few files at a time (sweep.h).
 *
 * It takes one after the other, and ends when the starter does and nothing is left. Should it be
 * killed, what it had not taken yet is swept up with the groups of ended starters
 * (cgroup_host_sweep); the kernel frees mounts that nobody holds. */
#pragma once

#include "common/err.h"
#include "sandbox/cgroup.h"
#include "sandbox/cpu_class.h"
#include "sandbox/net_relay.h"
#include "sandbox/sweep.h"

#include <stdbool.h>
#include <stddef.h>

/* Of one sandbox. */
struct leftover {
    int mounts_fd; /* its mount namespace, or -1 */
    struct net_relay relay;
    struct cgroup_group group; /* what is still in there is killed */
    struct own_files own;
};

struct leftovers {
    int sock, pidfd; /* to the process; -1: there is none */
    struct cpu_classes *classes;
    bool owes_go;             /* for what was handed over last */
    struct leftover *waiting; /* owned: what the socket had no room for */
    size_t n, cap;
};

/* Starts the process; `classes` stays the caller's and has to live as long. Where it cannot be had,
 * leftovers_take does the work. */
int leftovers_start(struct leftovers *l, struct cpu_classes *classes, struct err *err);
/* Hands it over, descriptors included, without waiting; a group in which nothing is left goes at
 * once. `groups` NULL: there are none. */
void leftovers_take(struct leftovers *l, struct cgroup_host *groups, struct leftover *one);
/* Something waits for room in the socket: leftovers_go_on when it can be written to. */
bool leftovers_waiting(const struct leftovers *l);
void leftovers_go_on(struct leftovers *l, struct cgroup_host *groups);
/* Waits a second for all to be taken away; then what is left goes unswept, with its process. */
void leftovers_end(struct leftovers *l, struct cgroup_host *groups);
