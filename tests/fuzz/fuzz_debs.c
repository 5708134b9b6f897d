/* objects: job/debs_list.o
 * any bytes as a packages.txt, and as a line of a script */
#include "common/cleanup.h"
#include "job/debs.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc(size + 1);
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
    struct debs_alternative a;
    struct err err = {0};
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    if (debs_parse(text, &out, &err) == 0) {
        /* Nothing that apt-get would take for an option, a pattern or a removal. */
        for (const char *at = out.data; at && *at; at = strchr(at, '\n') + 1)
            if (*at == '-' || *at == '\n' || strchr(at, '\n')[-1] == '-' ||
                strcspn(at, " \t*?[]$;|&()/'\"\\`~#") < strcspn(at, "=\n"))
                abort();
    } else if (!*err.msg || strchr(err.msg, '\n')) {
        abort();
    }
    if (debs_alternative(text, &a) &&
        (a.link[0] != '/' || a.path[0] != '/' || strstr(a.link, "/../") || strchr(a.name, '/')))
        abort();
    return 0;
}
