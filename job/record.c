#include "job/record.h"

#include "common/utf8.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Copies text for a page: tabs and line breaks stay, other control characters and bytes that are no
 * UTF-8 become U+FFFD. Ends at a whole character. */
static int clean_text(const char *s, size_t len, struct buf *out)
{
    size_t copied = 0; /* s[copied..i) is clean and not copied yet */
    int r = 0;

    for (size_t i = 0; i < len && r == 0;) {
        size_t n = s[i] ? utf8_len(s + i) : 0;
        bool bad = n == 0 || (n == 1 && (unsigned char)s[i] < 0x20 && !strchr("\n\r\t", s[i]));

        if (n > len - i)
            bad = true;
        if (out->len + (i - copied) + 4 > RECORD_README_MAX) {
            len = i;
            break;
        }
        if (bad) {
            r = buf_append(out, s + copied, i - copied);
            if (r == 0)
                r = buf_puts(out, "\xef\xbf\xbd");
            copied = i + 1;
        }
        i += bad ? 1 : n;
    }
    return r < 0 ? r : buf_append(out, s + copied, len - copied);
}

int record_write(const struct record *record, struct buf *out, struct err *err)
{
    const struct card *card = record->card;
    _cleanup_buf_ struct buf readme = BUF_INIT(RECORD_README_MAX + 8);
    _cleanup_buf_ struct buf subject = BUF_INIT(RECORD_README_MAX + 8);
    _cleanup_free_ char *text = NULL;
    json_t *object;

    const char *line = record->subject ? record->subject : "";

    if (clean_text(record->readme, record->readme_len, &readme) < 0 ||
        clean_text(line, strlen(line), &subject) < 0)
        return err_set(err, ENOMEM, "out of memory");
    object = json_pack(
        "{s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:o, s:O, s:O, s:s, s:s, "
        "s:s}",
        "sha", record->sha, "files", (json_int_t)record->files, "bytes", (json_int_t)record->bytes,
        "title", card->title, "emoji", card->emoji, "color_from", card->color_from, "color_to",
        card->color_to, "short_description", card->short_description, "sdk",
        card_sdk_name(card->sdk), "app_file", card->app_file, "app_port", (int)card->app_port,
        "base_path", card->base_path, "start_timeout_ms",
        card->has_start_timeout ? json_integer((json_int_t)card->start_timeout_ms) : json_null(),
        "card", card->object, "warnings", card->warnings, "readme", readme.len ? readme.data : "",
        "content", record->content, "subject", subject.len ? subject.data : "");
    if (object)
        text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!text || buf_puts(out, text) < 0)
        return err_set(err, ENOMEM, "the bundle's record does not fit into %zu bytes", out->max);
    return 0;
}
