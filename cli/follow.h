/* Waits until a submitted version runs, or tells why it does not. */
#pragma once

#include "client.h"
#include "common/err.h"
#include "progress.h"
#include "spacename.h"

/* Follows the Space until `version` serves (0), or will not: the message has the reason and the
 * last lines that it printed. `stage` gets the last stage seen. A server that is restarting
 * meanwhile is waited for. */
int follow_start(struct client *c, const struct spacename *n, const char *version,
                 struct progress *p, char *stage, size_t stage_len, struct err *err);
