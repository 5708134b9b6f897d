/* objects: gateway/blank.o */
/* A request target for the access log: never past the room there is, and what was blanked stays so
 * when it is blanked again. */
#include "gateway/blank.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t room = (size_t)data[0] * 8, n = size - 1;
    char *in = malloc(n ? n : 1), *out = malloc(room ? room : 1), *whole = malloc(4 * n + 8),
         *again = malloc(4 * n + 8);
    memcpy(in, data + 1, n);
    if (blank_target(in, n, out, room) > room)
        abort();
    size_t len = blank_target(in, n, whole, 4 * n + 8);
    size_t len2 = blank_target(whole, len, again, 4 * n + 8);
    if (len2 != len || memcmp(whole, again, len) != 0)
        abort();
    free(in);
    free(out);
    free(whole);
    free(again);
    return 0;
}
