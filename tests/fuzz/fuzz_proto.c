/* objects: ; any bytes as a message: what is taken must come out of the encoder as it went in */
#include "common/proto.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct proto_msg m;
    static unsigned char again[PROTO_MAX_BYTES];
    struct err err = {0};
    if (proto_decode(&m, data, size, &err) < 0) {
        if (err.code == 0 || err.msg[0] == '\0' || m.type != PROTO_NONE)
            abort();
        return 0;
    }
    int n = proto_encode(m.type, &m.u, again, sizeof again);
    if (n < 0 || (size_t)n != size || memcmp(again, data, size) != 0)
        abort();
    if (m.type == PROTO_START) {
        char *out[64];
        int count = proto_list_split(m.u.start.argv, m.u.start.argv_len, out, 64);
        for (int i = 0; i < count; i++)
            if (strlen(out[i]) >= sizeof m.u.start.argv)
                abort();
    }
    return 0;
}
