/* Who has a port: for people, in a message. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* " by nginx (process 123)", or "" where it cannot be seen. */
void holder_of_port(unsigned port, char *out, size_t size);
