/* A visit of a private Space, as a stranger writes it. None that was not signed is ever good. */
#include "common/visit.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char pub[KEYS_VISIT_PUB], key[KEYS_VISIT_KEY];
    static bool made;
    uint64_t end_s = 7;
    if (!made) {
        if (sodium_init() < 0 || crypto_sign_keypair(pub, key) != 0)
            abort();
        made = true;
    }
    char *text = malloc(size + 1); /* exactly as large, for the sanitizer */
    if (!text)
        return 0;
    memcpy(text, data, size);
    for (uint64_t space = 0; space < 3; space++)
        if (visit_check(pub, space, text, size, 0, space == 1, &end_s) != VISIT_BAD || end_s != 7)
            abort();
    free(text);
    return 0;
}
