/* Connections to webui, for the gateway: it opens no path, so it asks `up`, as it asks PID 1 of a
 * sandbox, and gets a batch of connected sockets. The listening socket is `up`'s, so that a webui
 * that is just being restarted refuses nobody: the connections wait in its queue. */
#pragma once

#include "common/err.h"
#include "common/proto.h"

/* Answers every DIAL that waits on `sock`. `msg` is room to receive into. 0, or a negative errno
 * where the other side is gone or broken (the caller closes the socket). */
int sitedial_serve(int sock, int run_fd, struct proto_msg *msg, struct err *err);
