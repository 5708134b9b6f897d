/* objects: gateway/forwarded.o gateway/trust.o gateway/limits.o */
/* What proxies in front say of a visitor: elements lie within the value, in order. */
#include "gateway/forwarded.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

static void within(const char *p, size_t len, const char *whole, size_t size)
{
    MUST(p ? p >= whole && p + len <= whole + size : len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct forwarded_element e[4];
    struct sockaddr_storage a;
    char *copy = malloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    if (forwarded_address(copy, size, &a))
        MUST(a.ss_family == AF_INET || a.ss_family == AF_INET6);
    int n = forwarded_elements(copy, size, e, 4);
    MUST(n >= -1 && n <= 4);
    for (int i = 0; i < n; i++) {
        within(e[i].by_for, e[i].for_len, copy, size);
        within(e[i].proto, e[i].proto_len, copy, size);
        within(e[i].host, e[i].host_len, copy, size);
    }
    free(copy);
    return 0;
}
