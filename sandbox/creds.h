/* Who the two processes of a sandbox are, and what they may no longer become. */
#pragma once

#include "common/err.h"

/* PID 1, as soon as the maps are there: root of the sandbox's user namespace (the vacant root
 * outside), with all capabilities in it and no groups. */
int creds_become_root(struct err *err);

/* Empties the capability bounding set and locks the secure bits, for this process and all that it
 * forks; what it has it keeps. */
int creds_drop_bounds(struct err *err);

/* The program: no groups, uid and gid 1000, no capability. */
int creds_become_user(struct err *err);

/* PID 1, once the program has been forked: keeps CAP_KILL alone (over its own namespace: it stops
 * the program, whose uid is another), is not dumpable. */
int creds_settle_init(struct err *err);

/* For the platform's own programs (service.h): after a change of uid with PR_SET_KEEPCAPS, what is
 * permitted becomes effective again; and in the end, no capability at all. */
int creds_raise_permitted(struct err *err);
int creds_give_up(struct err *err);
