/* How the programs under `vitrine up` start: two inherited descriptors, everything else by message.
 *
 *   fd 3  the supervisor: SOCK_SEQPACKET to `up`, messages SUP_* (proto.h). Its end of file means
 * that `up` is gone: the program ends at once (workers stay, for the next `up` to adopt). fd 4  the
 * effective configuration (conf_to_fd).
 *
 * `up` sends SUP_LISTENER and SUP_PEER messages whenever there is something to hand over: at the
 * start, and again for each peer that was restarted. A program answers SUP_READY once it is able to
 * serve what it is given. SIGTERM asks it to end in order. */
#pragma once

#include "conf.h"

#define SERVICE_SUP_FD 3
#define SERVICE_CONF_FD 4

struct service {
    struct conf conf;
    int sup_fd; /* non-blocking, close-on-exec */
};

/* Loads fd 4, sets up logging by it, makes fd 3 ours, ignores SIGPIPE. `program` as in log_init. */
int service_init(struct service *s, const char *program, struct err *err);
int service_ready(struct service *s, struct err *err);
