/* Landlock for the platform's own programs: nothing, but for a few places. */
#pragma once

#include "common/err.h"
#include "sandbox/service.h"

/* No file can be opened, made or run, no port listened on, nobody outside signalled or reached by
 * an abstract socket, as far as the kernel's version knows of these; but `files` can be read, and
 * in `folders` files made, read and written (each NULL or at its first NULL: the end). Descriptors
 * that are open stay so. Does nothing where there is no Landlock. no_new_privs must be set. */
int landlock_nothing_but(const char *const files[SERVICE_PLACES],
                         const char *const folders[SERVICE_PLACES], struct err *err);
