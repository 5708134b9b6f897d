/* Questions to whoever sits at the terminal. */
#pragma once

#include "common/err.h"

#include <stddef.h>

/* Asks on stderr, reads a line from stdin: `out` gets the answer without blanks around it, or what
 * it holds already where nothing was typed. -ECANCELED at the end of the file. */
int ask_line(const char *question, char *out, size_t len, struct err *err);
