/* objects: job/lfs.o
 * any bytes as an LFS pointer */
#include "job/lfs.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lfs_pointer p, q;
    char text[LFS_POINTER_MAX];

    if (!lfs_parse((const char *)data, size, &p))
        return 0;
    if (!lfs_is_oid(p.oid))
        abort();
    size_t len = lfs_format(&p, text);
    if (!lfs_parse(text, len, &q) || strcmp(p.oid, q.oid) != 0 || p.size != q.size)
        abort();
    return 0;
}
