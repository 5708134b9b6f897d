/* The platform's own sandbox: a program of ours that faces strangers (gateway, webui, egress) gives
 * up, as its first act, all that its loop does not need. The one header of the sandbox that other
 * programs may include.
 *
 * The program confines itself, instead of being started confined, because by then its libraries
 * are loaded and its configuration is read: so its root can be empty and its filter needs neither
 * exec nor open. Its pid namespace alone is its parent's to make (`vitrine up`).
 *
 * What it gets: its own uid of the range that belongs to the Spaces; user, mount, network, IPC, UTS
 * and cgroup namespaces of its own; a root that is one read-only folder, empty but for the few
 * files and folders that its plan names; no capability; no_new_privs; Landlock that allows those
 * and nothing else, where the kernel has it; small resource limits; a filter of exactly the calls
 * that it makes, any other kills it. It is not dumpable. Descriptors that it holds stay what they
 * were: beside what the plan names they are its only way anywhere. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

enum service_kind { SERVICE_GATEWAY, SERVICE_WEBUI, SERVICE_EGRESS, SERVICE_KINDS };

#define SERVICE_PLACES 4

struct service_plan {
    enum service_kind kind;
    uint32_t uid_first; /* [sandbox] uid_first */
    /* Absolute paths, the same inside as outside; the first NULL ends each. Files for reading, made
     * empty where there are none (the mount holds this very file: whoever writes it must not put
     * another in its place); folders to make files in and to write them. Each stays its owner's and
     * is opened to the group of the service alone. */
    const char *files[SERVICE_PLACES], *folders[SERVICE_PLACES];
    /* Starts the program's threads, after everything but the filter, which all of them get. NULL:
     * it has none yet. */
    int (*threads)(void *arg, struct err *err);
    void *threads_arg;
};

/* What webui sees of a data folder; `paths` has the names of `plan`. */
struct service_paths {
    char text[SERVICE_PLACES][4096];
};
void service_plan_webui(struct service_plan *plan, struct service_paths *paths, const char *data);

/* Confines the calling process for good; it must have one thread. Egress keeps the network that it
 * is in: it makes connections. Whoever is not root of a user
 * namespace with a range keeps its uid, and has the rest. After an error the process is confined in
 * part, and should not serve: the message names the step. */
int service_confine(const struct service_plan *plan, struct err *err);

/* The lesser half of it, for a helper that works with the host's files (names are looked up by
 * libraries and files that the host chooses): limits, its own uid, no capability, no_new_privs. */
int service_lower(const struct service_plan *plan, struct err *err);

/* The same in a child, which then ends: what this machine offers, for `vitrine check`. */
int service_try(const struct service_plan *plan, struct err *err);

/* ---- for who starts them (`vitrine up`) ---- */

/* Makes what is missing of the plan's places, and opens them to the service's group, as confining
 * does. Done here before the program that writes them is started as well: SQLite gives its log and
 * index the mode of the database, and would take that mode back if it changed in between. */
int service_prepare(const struct service_plan *plan, struct err *err);

/* How many CPUs this process has the use of: by its affinity, and by the limits of the control
 * groups that it is in, a part of one counted as one; `most` at most. */
unsigned service_cpus(unsigned most);

/* Control groups of webui and of each gateway: their memory and threads have bounds, and what runs
 * out of memory in one is that program alone. They have numbers. */
#define SERVICE_GROUPS 16
struct service_groups;

/* `name` is the same whenever the same data folder is served: what an earlier one left is removed.
 * -ENOTSUP where no control group is ours. */
int service_groups_open(struct service_groups **ret, const char *name, struct err *err);
/* Once nobody is in them any more. NULL is fine. */
void service_groups_close(struct service_groups *g);
/* An empty one of that number with these limits, in the place of an earlier one; what is left in
 * that is ended. */
int service_group_make(struct service_groups *g, unsigned i, uint64_t memory_bytes, uint32_t pids,
                       struct err *err);
/* The calling process, which has one thread: from a fork to its exec. */
int service_group_join(const struct service_groups *g, unsigned i, struct err *err);
/* Whether it ran out of memory since it was made. */
bool service_group_ran_out(struct service_groups *g, unsigned i);
