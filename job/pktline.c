#include "job/pktline.h"

#include <errno.h>
#include <string.h>

enum { REPORT_MAX = 1 << 20, BAND_REPORT = 1 };

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int pkt_next(const char **data, size_t *len, const char **ret, size_t *ret_len)
{
    size_t total = 0;

    if (*len < 4)
        return -EPROTO;
    for (int i = 0; i < 4; i++) {
        int v = hex((*data)[i]);

        if (v < 0)
            return -EPROTO;
        total = total * 16 + (size_t)v;
    }
    *ret = *data + 4;
    *ret_len = total > 4 ? total - 4 : 0;
    if (total == 3 || total > *len)
        return -EPROTO;
    *data += total < 4 ? 4 : total;
    *len -= total < 4 ? 4 : total;
    return total < 4 ? (int)total : PKT_DATA;
}

int pkt_append(struct buf *out, const void *data, size_t len)
{
    int r = len > PKT_DATA_MAX ? -EMSGSIZE : buf_printf(out, "%04zx", len + 4);

    return r < 0 ? r : buf_append(out, data, len);
}

int pkt_flush(struct buf *out)
{
    return buf_puts(out, "0000");
}

/* The report itself: its lines, with the reason. */
static int rewrite_report(const char *data, size_t len, const char *reason, struct buf *out)
{
    static const char declined[] = " pre-receive hook declined";
    const char *line;
    size_t n;
    int kind = PKT_FLUSH;

    while (len > 0 && (kind = pkt_next(&data, &len, &line, &n)) >= 0) {
        size_t end = n && line[n - 1] == '\n' ? n - 1 : n, tail = sizeof(declined) - 1;
        char text[1200];
        int r;

        if (kind != PKT_DATA) {
            r = pkt_flush(out);
        } else if (end > tail && end < 600 && memcmp(line, "ng ", 3) == 0 &&
                   memcmp(line + end - tail, declined, tail) == 0) {
            int w = snprintf(text, sizeof(text), "%.*s %s\n", (int)(end - tail), line, reason);
            r = pkt_append(out, text, w < (int)sizeof(text) ? (size_t)w : sizeof(text) - 1);
        } else {
            r = pkt_append(out, line, n);
        }
        if (r < 0)
            return r;
    }
    return kind < 0 ? kind : 0;
}

/* The report as lines of band 1. */
static int append_banded(const struct buf *report, struct buf *out)
{
    enum { CHUNK = 65000 };
    static char line[CHUNK + 1];
    int r = 0;

    for (size_t at = 0; r == 0 && at < report->len; at += CHUNK) {
        size_t n = report->len - at < CHUNK ? report->len - at : CHUNK;

        line[0] = BAND_REPORT;
        memcpy(line + 1, report->data + at, n);
        r = pkt_append(out, line, n + 1);
    }
    return r;
}

int pkt_tell_reason(const char *data, size_t len, const char *reason, struct buf *out)
{
    _cleanup_buf_ struct buf report = BUF_INIT(REPORT_MAX);
    _cleanup_buf_ struct buf rewritten = BUF_INIT(2 * REPORT_MAX);
    const char *line;
    size_t n, left = len;
    int r = 0, kind = PKT_FLUSH;

    if (len < 5)
        return -EPROTO;
    if (data[4] < 1 || data[4] > 3) /* no sideband: the report is all there is */
        return rewrite_report(data, len, reason, out);
    while (r == 0 && left > 0 && (kind = pkt_next(&data, &left, &line, &n)) >= 0) {
        if (kind != PKT_DATA)
            break;
        if (n > 0 && line[0] == BAND_REPORT)
            r = buf_append(&report, line + 1, n - 1);
        else
            r = pkt_append(out, line, n);
    }
    if (r < 0 || kind < 0)
        return r < 0 ? r : kind;
    r = rewrite_report(report.data ? report.data : "", report.len, reason, &rewritten);
    if (r == 0)
        r = append_banded(&rewritten, out);
    return r < 0 ? r : pkt_flush(out);
}
