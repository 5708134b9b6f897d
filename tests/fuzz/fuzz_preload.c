/* objects:
 * any bytes as an entry of preload_from_hub, as the name of a file, and as the URL of a hub */
#include "common/cleanup.h"
#include "common/hub_url.h"
#include "common/preload_entry.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Below a folder, whoever makes it. */
static void stays_below(const char *path)
{
    if (!*path || *path == '/' || strchr(path, '\n'))
        abort();
    for (const char *part = path;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n <= 2 && strspn(part, ".") >= n))
            abort();
        part += n;
        if (!*part)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc(size + 1);
    struct preload_entry e;
    struct hub_url u;
    struct err err = {0};
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    if (preload_entry_parse(text, &e, &err) == 0) {
        stays_below(e.repo);
        stays_below(e.revision);
        const char *file = e.files;
        for (unsigned i = 0; i < e.n_files; i++, file += strlen(file) + 1)
            stays_below(file);
        if (e.all != (e.n_files == 0) || strpbrk(e.repo, " \t,"))
            abort();
    } else if (!*err.msg || strchr(err.msg, '\n')) {
        abort();
    }
    if (preload_path_ok(text))
        stays_below(text);
    if (preload_word_ok(text) || preload_folder_ok(text)) {
        stays_below(text);
        if (strchr(text, '/'))
            abort();
    }
    if (hub_url_parse(text, &u, &err) == 0 &&
        (!u.host[0] || !u.port || u.path < text || u.path + u.path_len > text + strlen(text) ||
         (u.path_len && u.path[0] != '/')))
        abort();
    return 0;
}
