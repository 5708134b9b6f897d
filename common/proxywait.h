/* A build's proxy, which the runner opens on the loopback of the sandbox when that has begun. */
#pragma once

#include "err.h"

/* Until something listens on 127.0.0.1:`port`, at most 20 s; port 0: there is none to wait for. 0,
 * or -ETIMEDOUT with "the way to WHERE did not open". */
int proxy_wait(unsigned port, const char *where, struct err *err);
