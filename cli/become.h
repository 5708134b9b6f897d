/* How a child becomes one of the programs, for `up` and for `dev`. */
#pragma once

#include <signal.h>

/* Between fork and exec: descriptors 0 to 4 as common/service.h says, nothing else, signals as at
 * first but for `mask`, and a session of its own: Ctrl-C in the terminal is for the parent, which
 * ends the rest in order. Exits with 126 or 127 where it cannot. */
_Noreturn void become_program(const char *folder, const char *name, int sup_fd, int conf_fd,
                              const sigset_t *mask);
