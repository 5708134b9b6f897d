/* Names in certificates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether a certificate's name is for this host: equal, or "*" in the place of its first label (RFC
 * 9525, 6.3). Case and the root's dot at the host's end do not matter. */
bool tls_name_fits(const char *pattern, size_t pattern_len, const char *host);
