/* A list of hosts as [build] has it: NAME, *.NAME (all below it) or an address, with :PORT where
 * not the ports of http and https are meant; commas and blanks separate. */
#pragma once

#include "err.h"

#include <stdint.h>

struct hostlist_entry {
    char host[256];
    uint16_t port; /* 0: 443 and 80 */
};

/* Calls `each`, which may be NULL, with every entry; ends at the first error. `what` is put before
 * the message. */
int hostlist_each(const char *list, const char *what,
                  int (*each)(void *arg, const struct hostlist_entry *e), void *arg,
                  struct err *err);
