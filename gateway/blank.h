/* What must not stand in a log although visitors send it: values of a query that open something. */
#pragma once

#include <stddef.h>

/* Copies a request target or a URL (a Referer) of `len` bytes to `out`, at most `size` bytes, with
 * the values of such parameters as "***": those whose name speaks of a token, a signature, a
 * password, a session, a key or a code, however it is percent-encoded, and those that hold such a
 * query themselves. The whole query where it is a visit (common/visit.h). The length; a target that
 * does not fit is cut. */
size_t blank_target(const char *target, size_t len, char *out, size_t size);
