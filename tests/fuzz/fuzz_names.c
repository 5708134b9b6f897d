/* objects: job/names.o
 * any bytes as a path of an archive */
#include "common/cleanup.h"
#include "job/names.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *path = malloc(size + 1);
    char clean[NAMES_PATH_MAX + 1], again[NAMES_PATH_MAX + 1], quoted[NAMES_QUOTED_MAX];
    struct err err = {0};

    if (!path)
        abort();
    memcpy(path, data, size);
    path[size] = '\0';
    if (strlen(names_quote(path, quoted)) >= sizeof(quoted))
        abort();
    if (names_clean(path, clean, &err) < 0) {
        if (!*err.msg || strchr(err.msg, '\n'))
            abort();
        return 0;
    }
    /* Clean is clean, and leads nowhere else. */
    if (*clean && (names_clean(clean, again, NULL) < 0 || strcmp(clean, again) != 0))
        abort();
    if (clean[0] == '/' || strstr(clean, "//") || strcmp(clean, "..") == 0 ||
        strncmp(clean, "../", 3) == 0 || strstr(clean, "/../"))
        abort();
    (void)names_is_litter(clean);
    return 0;
}
