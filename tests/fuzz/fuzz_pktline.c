/* objects: job/pktline.o
 * any bytes as what git receive-pack answered */
#include "common/buf.h"
#include "job/pktline.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4 << 20);
    _cleanup_buf_ struct buf again = BUF_INIT(8 << 20);
    const char *line, *at = (const char *)data;
    size_t left = size, n;
    int kind;

    while (left > 0 && (kind = pkt_next(&at, &left, &line, &n)) >= 0)
        if (line < (const char *)data || line + n > (const char *)data + size)
            abort();
    /* What was rewritten is of the same form. */
    if (pkt_tell_reason((const char *)data, size, "README.md:3: sdk: no", &out) == 0 &&
        out.len >= 5 && pkt_tell_reason(out.data, out.len, "again", &again) < 0)
        abort();
    return 0;
}
