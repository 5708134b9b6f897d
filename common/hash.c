/* util.h: the hash, apart from the rest so that only who uses it needs libsodium. */
#include "util.h"

#include <sodium.h>

void sha256_hex(const void *data, size_t len, char out[65])
{
    unsigned char sum[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(sum, data, len);
    sodium_bin2hex(out, 65, sum, sizeof sum);
}
