/* A demo's response head. */
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
    char *p = malloc(size ? size : 1);
    memcpy(p, data, size);
    int r = http1_parse_response(&h, p, size);
    if (r > 0) {
        unsigned framings = 0;
        MUST((size_t)r <= size && r == h.len && h.status >= 100 && h.status <= 599);
        MUST(h.reason + h.reason_len <= h.len && http1_value_ok(p + h.reason, h.reason_len));
        for (unsigned i = 0; i < h.n_fields; i++) {
            const struct http1_field *f = &h.fields[i];
            MUST(f->name_len && f->value + f->value_len + 2 <= h.len);
            framings += f->id == FIELD_CONTENT_LENGTH || f->id == FIELD_TRANSFER_ENCODING;
        }
        MUST(framings <= 1);
        MUST(http1_parse_response(&again, p, (size_t)r) == r && again.n_fields == h.n_fields);
        for (int n = r - 1; n >= 0 && n > r - 64; n--)
            MUST(http1_parse_response(&again, p, (size_t)n) == 0);
    } else if (r < 0) {
        MUST(r == -502 && h.error);
    }
    free(p);
    return 0;
}
