#include "webui/text.h"

#include "common/utf8.h"
#include "common/util.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void text_copy(char *out, size_t size, const char *text)
{
    size_t n = 0;
    while (*text) {
        size_t len = utf8_len(text);
        if (n + (len ? len : 1) >= size)
            break;
        if (len)
            memcpy(out + n, text, len);
        else
            out[n] = '?';
        n += len ? len : 1;
        text += len ? len : 1;
    }
    out[n] = 0;
}

void text_ago(uint64_t then_ms, char out[32])
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = {{365 * 86400, "year"},
                 {30 * 86400, "month"},
                 {86400, "day"},
                 {3600, "hour"},
                 {60, "minute"}};
    uint64_t now = now_ms(), seconds = now > then_ms ? (now - then_ms) / 1000 : 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        uint64_t n = seconds / units[i].seconds;
        if (n > 0) {
            snprintf(out, 32, "%" PRIu64 " %s%s ago", n, units[i].name, n == 1 ? "" : "s");
            return;
        }
    }
    snprintf(out, 32, "just now");
}

void text_duration(uint64_t ms, char out[32])
{
    uint64_t s = ms / 1000;
    if (s < 60)
        snprintf(out, 32, "%" PRIu64 " s", s);
    else if (s < 3600)
        snprintf(out, 32, "%" PRIu64 " min", s / 60);
    else if (s < 86400)
        snprintf(out, 32, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
}
