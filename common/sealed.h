/* A secret of a Space as it is kept: sealed to the server's box key (libsodium's sealed boxes), as
 * base64. The Space and the name are inside: a row that was copied to another Space or another name
 * does not open there. */
#pragma once

#include "err.h"
#include "keys.h"

#include <stddef.h>
#include <stdint.h>

/* *ret is owned by the caller. */
int sealed_make(const unsigned char pub[KEYS_BOX], uint64_t space_id, const char *name,
                const char *value, char **ret, struct err *err);
/* *ret is owned by the caller: sealed_forget it. -EBADMSG where it was sealed to another key, for
 * another Space or another name, or is no such thing. */
int sealed_open(const unsigned char pub[KEYS_BOX], const unsigned char key[KEYS_BOX],
                uint64_t space_id, const char *name, const char *sealed, char **ret,
                struct err *err);
/* How long the value of `name` in there is; 0 where that is no sealed secret. */
size_t sealed_value_len(const char *name, const char *sealed);

/* Overwrites and frees; NULL is fine. */
void sealed_forget(char *value);
static inline void sealed_cleanup(char **value)
{
    sealed_forget(*value);
}
#define _cleanup_secret_ __attribute__((cleanup(sealed_cleanup)))
