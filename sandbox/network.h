/* The network namespace of a sandbox: loopback and nothing else. */
#pragma once

#include "common/err.h"

#include <stdint.h>

/* Brings lo up. */
int network_loopback(struct err *err);
/* Opens a port below 1024 to the program: a namespace's own setting, `proc_fd` is the private
 * procfs. */
int network_open_port(int proc_fd, uint32_t port, struct err *err);
