/* UTF-8: is what stands here one well-formed character? */
#pragma once

#include <stddef.h>

/* Bytes of the character at the start of the NUL-terminated `s`, 0 where it is malformed (overlong,
 * a surrogate, past U+10FFFF, cut off) or the end. */
size_t utf8_len(const char *s);
