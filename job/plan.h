/* What `vitrine-job plan` prints: which interpreter, whether there is anything to install, and what
 * the key of an environment is made of. */
#pragma once

#include "common/err.h"

#include <stdbool.h>

struct plan {
    const char *debs, *digest;    /* of packages.txt, of all that is asked for */
    bool pre, main;               /* there is something to install before, and then */
    bool bound, pins_sdk;         /* to the version's own files; the SDK is asked for by name */
    const char *program, *id;     /* the interpreter, and what tells it from others */
    const char *base, *installer; /* the system; the installer's name */
    const char *warning;          /* "" none */
};
int plan_print(const struct plan *p, struct err *err);
