/* A request's head: what is accepted says the same however it arrives, every offset lies within it,
 * and nothing that makes a request ambiguous is in it. */
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
    char *p = malloc(size ? size : 1); /* exactly as long, so that the sanitizer sees overruns */
    memcpy(p, data, size);
    int r = http1_parse_request(&h, p, size);
    if (r > 0) {
        unsigned hosts = 0, framings = 0;
        MUST((size_t)r <= size && r == h.len && memcmp(p + r - 4, "\r\n\r\n", 4) == 0);
        MUST(h.target + h.target_len <= h.len && h.method_len > 0);
        MUST(h.lead ? h.target_len == 0 || p[h.target] == '?' : h.target_len > 0);
        MUST(h.host + h.host_len <= h.len && (h.minor == 0 || h.host_len > 0));
        for (unsigned i = 0; i < h.n_fields; i++) {
            const struct http1_field *f = &h.fields[i];
            MUST(f->name_len && f->value + f->value_len + 2 <= h.len);
            MUST(http1_is_token(p + f->name, f->name_len) &&
                 http1_value_ok(p + f->value, f->value_len));
            hosts += f->id == FIELD_HOST;
            framings += f->id == FIELD_CONTENT_LENGTH || f->id == FIELD_TRANSFER_ENCODING;
        }
        MUST(hosts <= 1 && framings <= 1);
        for (int i = 1; i < r; i++) /* no bare LF, no NUL, no folding */
            MUST(p[i] && (p[i] != '\n' || p[i - 1] == '\r'));
        /* more bytes behind it change nothing */
        MUST(http1_parse_request(&again, p, (size_t)r) == r && again.n_fields == h.n_fields);
        for (int n = r - 1; n >= 0 && n > r - 64; n--)
            MUST(http1_parse_request(&again, p, (size_t)n) == 0);
    } else if (r < 0) {
        MUST(h.error && (r == -400 || r == -414 || r == -431 || r == -501 || r == -505));
    }
    free(p);
    return 0;
}
