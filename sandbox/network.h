/* The network namespace of a sandbox: loopback and nothing else. */
#pragma once

#include "common/err.h"

#include <stdint.h>

/* Brings lo up. A port below 1024 is opened to the program (a namespace's own setting, `proc_fd`:
 * the private procfs). */
int network_loopback(int proc_fd, uint32_t port, struct err *err);
