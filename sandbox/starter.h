/* The resident starter: `vitrine-sandbox starter`. */
#pragma once

#include <sys/types.h>

#define STARTER_FD 3 /* SEQPACKET to the runner */

/* Serves START and GROUP_* until the runner closes the socket. The exit status. `instance` names
 * the control groups: the same for the same data folder, so that a later starter finds the groups
 * of workers that live on. */
int starter_main(const char *instance, uid_t uid_first);
