/* Frames of streams that have ended, seen before nghttp2 sees them: of what comes behind an end it
 * tells nobody, unless it keeps the streams, which costs some 250 bytes each. */
#include "h2.h"

#include <string.h>

#define FRAME_HEAD 9 /* RFC 9113, 4.1 */
#define PREFACE 24   /* 3.4 */

void h2_scan_begin(struct h2_scan *s)
{
    s->skip = PREFACE;
}

void h2_scan_ended(struct h2_scan *s, int32_t id, bool ours)
{
    uint32_t *place = &s->ended[s->n_ended++ % H2_ENDED_MAX];
    if (*place & 1 && *place >> 1 > s->forgotten)
        s->forgotten = *place >> 1;
    *place = (uint32_t)id << 1 | ours;
}

/* DATA or HEADERS of a stream that has ended, or was left out. What we ended may have been on its
 * way, and is ignored; behind what the visitor ended nothing more may come (5.1), and no number is
 * below one before it (5.1.1). */
static uint32_t judge(const struct h2_scan *s, nghttp2_session *session, uint8_t type, uint32_t id)
{
    if (id % 2 == 0 || (int32_t)id > nghttp2_session_get_last_proc_stream_id(session) ||
        nghttp2_session_find_stream(session, (int32_t)id))
        return NGHTTP2_NO_ERROR; /* nghttp2 knows */
    for (unsigned i = 0; i < H2_ENDED_MAX && i < s->n_ended; i++)
        if (s->ended[i] >> 1 == id)
            return s->ended[i] & 1 ? NGHTTP2_NO_ERROR : NGHTTP2_STREAM_CLOSED;
    if (id <= s->forgotten)
        return NGHTTP2_NO_ERROR;
    return type == NGHTTP2_DATA ? NGHTTP2_STREAM_CLOSED : NGHTTP2_PROTOCOL_ERROR;
}

size_t h2_scan(struct h2_scan *s, nghttp2_session *session, const char *p, size_t len,
               uint32_t *error)
{
    size_t i = 0;

    while (i < len) {
        if (s->skip) {
            size_t n = len - i < s->skip ? len - i : s->skip;
            s->skip -= (uint32_t)n;
            i += n;
            continue;
        }
        size_t need = FRAME_HEAD - s->have;
        if (len - i < need) {
            memcpy(s->head + s->have, p + i, len - i);
            s->have += (uint8_t)(len - i);
            return len;
        }
        memcpy(s->head + s->have, p + i, need);
        const uint8_t *h = s->head;
        uint8_t type = h[3];
        uint32_t id =
            (uint32_t)(h[5] & 0x7f) << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 8 | h[8];
        bool opens = type == NGHTTP2_HEADERS && id > s->newest;
        if (opens) {
            s->newest = id;
        } else if (type == NGHTTP2_DATA || type == NGHTTP2_HEADERS) {
            if (i)
                return i; /* what is before it first */
            *error = judge(s, session, type, id);
            if (*error)
                return 0;
        }
        s->have = 0;
        s->skip = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
        i += need;
    }
    return i;
}
