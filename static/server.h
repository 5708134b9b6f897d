/* Connections and the event loop. */
#pragma once

#include "static/answer.h"

/* Serves until the process ends. `listen_fd` listens and does not block. Returns a negative errno
 * if the loop cannot go on. */
int server_run(int listen_fd, const struct site *site);
