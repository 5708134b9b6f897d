/* objects: job/names.o job/front.o job/card.o job/card_keys.o; libs: -lyaml -ljansson
 * any bytes as a README.md */
#include "common/cleanup.h"
#include "job/card.h"
#include "job/names.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct card_hints hints = {
        .has_readme = true, .has_app_py = true, .has_index_html = true};
    _cleanup_free_ char *text = malloc(size + 1);
    struct front_split split;
    struct card card;
    struct err err = {0};

    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    int r = card_read(text, size, &hints, &card, &split, &err);

    if (r < 0) {
        /* One line for people. */
        if (err.code == 0 || !*err.msg || strchr(err.msg, '\n'))
            abort();
    } else {
        char clean[NAMES_PATH_MAX + 1];
        _cleanup_free_ char *json = json_dumps(card.object, JSON_COMPACT);

        if (!json || card.sdk >= CARD_NO_SDK || card.base_path[0] != '/' || card.app_port < 1024 ||
            names_clean(card.app_file, clean, NULL) < 0 || strcmp(clean, card.app_file) != 0 ||
            split.body < text || split.body + split.body_len != text + size)
            abort();
    }
    card_free(&card);
    return 0;
}
