/* [server] also_listen: sockets besides server.listen, as a list that commas separate. Each is a
 * place and words behind it:
 *
 *   ADDRESS:PORT   [::1]:80 for IPv6      unix:PATH      fd:NAME (a socket that systemd hands over)
 *   proxy          connections begin with a PROXY header, from trusted proxies only
 *   mode=0660      owner=USER or USER:GROUP (unix: only) */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <sys/types.h>

enum listen_kind { LISTEN_TCP, LISTEN_UNIX, LISTEN_FD };

struct listen_entry {
    enum listen_kind kind;
    char where[256]; /* the address, the path or the name */
    bool proxied;
    mode_t mode; /* 0600 where nothing is said */
    char user[64], group[64];
};

/* Calls `each`, which may be NULL, with every entry; ends at the first error. `what` is put before
 * the message. */
int listen_each(const char *list, const char *what,
                int (*each)(void *arg, const struct listen_entry *e, struct err *err), void *arg,
                struct err *err);

/* Is "ADDRESS:PORT" well-formed, and reachable from this machine alone? Numeric, IPv6 in brackets.
 * 0 or -EINVAL with the reason. */
int listen_address(const char *text, const char *what, bool *loopback, struct err *err);
