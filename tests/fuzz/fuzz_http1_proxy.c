/* A request to a proxy: what is accepted has a host and is one of the two forms. */
#include "common/http1.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http1_head h, again;
    size_t host_len;
    char *p = malloc(size ? size : 1); /* exactly as long, so that the sanitizer sees overruns */
    memcpy(p, data, size);
    int r = http1_parse_proxy_request(&h, p, size);
    if (r > 0) {
        MUST((size_t)r <= size && memcmp(p + r - 4, "\r\n\r\n", 4) == 0);
        MUST(h.connect != h.absolute && h.host + h.host_len <= h.len);
        MUST(http1_host_ok(p + h.host, h.host_len, &host_len));
        MUST(!h.connect || (h.body == BODY_NONE && !h.has_length && host_len + 1 < h.host_len));
        MUST(h.connect || h.lead || (h.target_len > 0 && p[h.target] == '/'));
        MUST(!h.connect || http1_parse_request(&again, p, size) == -501);
    } else if (r < 0) {
        MUST(h.error && (r == -400 || r == -414 || r == -431 || r == -501 || r == -505));
    }
    free(p);
    return 0;
}
