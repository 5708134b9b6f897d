/* What many commands take, and how they begin and end. */
#pragma once

#include "client.h"
#include "serveropts.h"
#include "spacename.h"

#include <stdbool.h>

/* The options of a command that has none but --json: 0, or CMD_USAGE after the complaint. */
int options_json(int argc, char **argv, bool *ret_json);
/* ... none but --config, --data and --json. */
int options_server(int argc, char **argv, struct serveropts *ret, bool *ret_json);

/* The Space of that name, and a connection to the server. */
int options_space(const char *name, struct spacename *ret, struct client **ret_client,
                  struct err *err);

/* The exit status of a command that came to `r`: a failure is said; else, with `json`, the answer
 * is printed. */
int options_end(const char *command, int r, bool json, const json_t *answer, struct err *err);
