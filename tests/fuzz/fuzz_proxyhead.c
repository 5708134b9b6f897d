/* A PROXY header: the same verdict whatever comes behind it, and none before all of it is there. */
#include "common/proxyhead.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(struct proxyhead *h, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1); /* a read beyond it is seen */
    if (size)
        memcpy(copy, data, size);
    int r = proxyhead_parse(h, copy, size);
    free(copy);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxyhead h, again;
    int r = parse(&h, data, size);
    if (r > (int)size || r > PROXYHEAD_MAX || (r == 0 && size >= PROXYHEAD_MAX))
        abort();
    if (r <= 0)
        return 0;
    if (h.known != (h.from.ss_family == AF_INET || h.from.ss_family == AF_INET6))
        abort();
    if (parse(&again, data, (size_t)r) != r || memcmp(&h.from, &again.from, sizeof(h.from)) != 0)
        abort();
    for (int i = 0; i < r; i++)
        if (parse(&again, data, (size_t)i) != 0)
            abort();
    return 0;
}
