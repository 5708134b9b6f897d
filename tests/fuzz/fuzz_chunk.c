/* objects: gateway/chunk.o */
/* A chunked body: the same content, trailers and end whether it comes whole or byte by byte. */
#include "gateway/chunk.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

struct result {
    enum chunk_event last;
    size_t bytes, trailers, end;
    uint64_t hash;
};

static struct result decode(const char *p, size_t size, size_t step)
{
    struct chunk c = {0};
    struct result r = {.hash = 14695981039346656037u};
    size_t have = step < size ? step : size, used, len = 0, name_len = 0;
    const char *data = NULL;
    char *room = malloc(size ? size : 1);

    for (;;) {
        /* the unread bytes at the end of the room: a read beyond them is seen */
        size_t n = have - r.end;
        char *copy = room + (size - n);
        memcpy(copy, p + r.end, n);
        r.last = chunk_next(&c, copy, n, &used, &data, &len, &name_len);
        MUST(used <= n);
        r.end += used;
        if (r.last == CHUNK_DATA || r.last == CHUNK_TRAILER) {
            MUST(len && data >= copy && data + len <= copy + n);
            for (size_t i = 0; i < len; i++)
                r.hash = (r.hash ^ (uint8_t)data[i]) * 1099511628211u;
            if (r.last == CHUNK_DATA)
                r.bytes += len;
            else
                r.trailers++;
        }
        if (r.last == CHUNK_BAD || r.last == CHUNK_END)
            break;
        if (r.last == CHUNK_MORE) {
            if (have == size)
                break;
            have = have + step < size ? have + step : size;
        }
    }
    free(room);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole = decode((const char *)data, size, size ? size : 1);
    struct result bytes = decode((const char *)data, size, 1);
    struct result some = decode((const char *)data, size, 7);

    MUST(whole.last == bytes.last && whole.last == some.last);
    MUST(whole.hash == bytes.hash && whole.bytes == some.bytes && whole.trailers == bytes.trailers);
    if (whole.last == CHUNK_END)
        MUST(whole.end == bytes.end && whole.end == some.end && whole.end <= size);
    return 0;
}
