/* Landlock for the platform's own programs: nothing. */
#pragma once

#include "common/err.h"

/* No file can be opened, made or run, no port listened on, nobody outside signalled or reached by
 * an abstract socket, as far as the kernel's version knows of these. Descriptors that are open stay
 * so. Does nothing where there is no Landlock. no_new_privs must be set. */
int landlock_nothing(struct err *err);
