#include "http1.h"

#include "http1_names.h"
#include "http1_scan.h"

static int fail(struct http1_head *h, int status, const char *why)
{
    h->error = why;
    return -status;
}

/* 1*DIGIT below 2^63 */
static bool parse_length(const char *p, size_t len, uint64_t *ret)
{
    uint64_t v = 0;
    if (len == 0 || len > 19)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    if (v > INT64_MAX)
        return false;
    *ret = v;
    return true;
}

/* What the fields mean together; counted while they are read. */
struct seen {
    uint8_t hosts, lengths, codings, upgrades;
    bool chunked, connection_close, connection_upgrade, websocket;
};

static int note_connection(struct http1_head *h, struct seen *s, const char *v, size_t len)
{
    const char *e;
    size_t at = 0, n;
    while (scan_element(v, len, &at, &e, &n)) {
        if (n == 0)
            continue; /* RFC 9110 5.6.1.2: empty elements are ignored */
        if (!http1_is_token(e, n))
            return fail(h, 400, "Connection is no list of names");
        if (http1_is(e, n, "close"))
            s->connection_close = true;
        else if (http1_is(e, n, "upgrade"))
            s->connection_upgrade = true;
        else if (!http1_is(e, n, "keep-alive"))
            h->has_named_hops = true;
    }
    return 0;
}

static int note_field(struct http1_head *h, struct seen *s, const char *p, struct http1_field *f)
{
    const char *v = p + f->value;
    size_t len = f->value_len, unused;

    switch (f->id) {
    case FIELD_HOST:
        if (s->hosts++)
            return fail(h, 400, "more than one Host");
        if (!http1_host_ok(v, len, &unused))
            return fail(h, 400, "Host is no host");
        h->host = f->value;
        h->host_len = f->value_len;
        break;
    case FIELD_CONTENT_LENGTH:
        if (s->lengths++)
            return fail(h, 400, "more than one Content-Length");
        if (!parse_length(v, len, &h->content_length))
            return fail(h, 400, "Content-Length is no number");
        h->has_length = true;
        break;
    case FIELD_TRANSFER_ENCODING:
        if (s->codings++)
            return fail(h, 400, "more than one Transfer-Encoding");
        if (!http1_is(v, len, "chunked"))
            return fail(h, 400, "Transfer-Encoding is not `chunked`");
        s->chunked = true;
        break;
    case FIELD_CONNECTION:
        return note_connection(h, s, v, len);
    case FIELD_UPGRADE:
        s->websocket = s->upgrades++ == 0 && http1_is(v, len, "websocket");
        break;
    case FIELD_EXPECT:
        if (http1_is(v, len, "100-continue"))
            h->expect_continue = true;
        break;
    case FIELD_DATE:
        h->has_date = true;
        break;
    case FIELD_MAX_FORWARDS: {
        uint64_t n;
        if (parse_length(v, len, &n)) {
            n = n > UINT32_MAX ? UINT32_MAX : n;
            if (!h->has_max_forwards || n < h->max_forwards)
                h->max_forwards = (uint32_t)n;
            h->has_max_forwards = true;
        }
        break;
    }
    }
    return 0;
}

/* The field lines from `i` to the blank line. > 0: the offset behind it; 0: more; < 0: -status */
static int parse_fields(struct http1_head *h, struct seen *s, const char *p, size_t i, size_t len)
{
    h->n_fields = 0;
    for (;;) {
        if (i >= len)
            return 0;
        if (p[i] == '\r') {
            if (i + 1 >= len)
                return 0;
            if (p[i + 1] != '\n')
                return fail(h, 400, "a bare CR");
            return (int)i + 2;
        }
        if (p[i] == ' ' || p[i] == '\t')
            return fail(h, 400, "a folded field line");
        if (h->n_fields == HTTP1_FIELDS_MAX)
            return fail(h, 431, "too many fields");

        struct http1_field *f = &h->fields[h->n_fields];
        size_t start = i;
        bool odd = false;
        i = scan_token(p, i, len, &odd);
        if (i == len)
            return 0;
        if (p[i] != ':' || i == start)
            return fail(h, 400,
                        i == start ? "a field without a name"
                                   : "a field name that is none (or white space before its colon)");
        f->name = (uint16_t)start;
        f->name_len = (uint16_t)(i - start);
        i++;

        size_t line_value = i;
        while (i < len && (p[i] == ' ' || p[i] == '\t'))
            i++;
        f->value = (uint16_t)i;
        for (;;) {
            i = scan_value(p, i, len);
            if (i >= len)
                return 0;
            if (p[i] != '\t')
                break;
            i++;
        }
        if (p[i] != '\r')
            return fail(h, 400, p[i] == '\n' ? "a bare LF" : "a control character in a field");
        if (i + 1 >= len)
            return 0;
        if (p[i + 1] != '\n')
            return fail(h, 400, "a bare CR");
        size_t end = i;
        while (end > f->value && (p[end - 1] == ' ' || p[end - 1] == '\t'))
            end--;
        f->value_len = (uint16_t)(end - f->value);
        f->plain = end == i && f->value == line_value + 1 && p[line_value] == ' ';
        i += 2;

        f->id = (uint8_t)http1_field_of(p + f->name, f->name_len);
        if (odd && f->id == FIELD_OTHER)
            f->id = (uint8_t)http1_spoofed_field(p + f->name, f->name_len);
        h->n_fields++;
        if (f->id != FIELD_OTHER) {
            int r = note_field(h, s, p, f);
            if (r < 0)
                return r;
        }
    }
}

/* Too long, or only not there yet? */
static int unfinished(struct http1_head *h, size_t len)
{
    return len >= HTTP1_HEAD_MAX ? fail(h, 431, "the header is too long") : 0;
}

/* "HTTP/1.1": the minor version, -1 where it is no version at all, -2 where it is another one */
static int parse_version(const char *p)
{
    if (memcmp(p, "HTTP/", 5) != 0 || p[5] < '0' || p[5] > '9' || p[6] != '.' || p[7] < '0' ||
        p[7] > '9')
        return -1;
    if (p[5] != '1' || p[7] > '1')
        return -2;
    return p[7] - '0';
}

static bool is_connect(const struct http1_head *h, const char *p)
{
    return h->method_len == 7 && memcmp(p + h->method, "CONNECT", 7) == 0;
}

/* RFC 9110 9.3.6: a host and its port, which has no default. A body would be the tunnel's. */
static int parse_authority(struct http1_head *h, const struct seen *s, const char *p)
{
    size_t host_len;
    if (!http1_host_ok(p + h->target, h->target_len, &host_len) || host_len + 1 >= h->target_len)
        return fail(h, 400, "CONNECT needs HOST:PORT");
    if (s->chunked || s->lengths)
        return fail(h, 400, "CONNECT has no body");
    h->connect = true;
    h->host = h->target;
    h->host_len = h->target_len;
    h->target_len = 0;
    return 0;
}

static int parse_target(struct http1_head *h, const char *p)
{
    const char *t = p + h->target;
    size_t len = h->target_len, unused;

    bool options = h->method_len == 7 && memcmp(p + h->method, "OPTIONS", 7) == 0;

    if (is_connect(h, p))
        return fail(h, 501, "CONNECT is not served here");
    if (t[0] == '/' || (len == 1 && t[0] == '*' && options))
        return 0;
    size_t skip = len > 7 && http1_is(t, 7, "http://")    ? 7
                  : len > 8 && http1_is(t, 8, "https://") ? 8
                                                          : 0;
    if (!skip)
        return fail(h, 400, "the request target is none");
    size_t end = skip;
    while (end < len && t[end] != '/' && t[end] != '?')
        end++;
    if (!http1_host_ok(t + skip, end - skip, &unused))
        return fail(h, 400, "the host of the request target is none");
    if (end == len || t[end] == '?') /* RFC 9112 3.2.1, 3.2.4 */
        h->lead = end == len && options ? '*' : '/';
    h->absolute = true;
    h->secure = skip == 8;
    h->host = (uint16_t)(h->target + skip);
    h->host_len = (uint16_t)(end - skip);
    h->target = (uint16_t)(h->target + end);
    h->target_len = (uint16_t)(len - end);
    return 0;
}

static int parse_request(struct http1_head *h, const char *p, size_t len, bool proxy)
{
    struct seen s = {0};
    size_t i = 0, start;
    bool odd = false;
    int r;

    memset(h, 0, offsetof(struct http1_head, fields));
    h->error = NULL;
    if (len > HTTP1_HEAD_MAX)
        len = HTTP1_HEAD_MAX;
    /* RFC 9112 2.2: one empty line before a request is forgiven */
    if (i < len && p[i] == '\r') {
        if (len < 2)
            return 0;
        if (p[1] != '\n')
            return fail(h, 400, "a bare CR");
        i = 2;
    }

    start = i;
    i = scan_token(p, i, len, &odd);
    if (i == len) {
        if (i - start > 32)
            return fail(h, 400, "the method is none");
        return 0;
    }
    if (p[i] != ' ' || i == start || i - start > 32)
        return fail(h, 400, "the method is none");
    h->method = (uint16_t)start;
    h->method_len = (uint16_t)(i - start);

    start = ++i;
    i = scan_target(p, i, len);
    if (i - start > HTTP1_LINE_MAX)
        return fail(h, 414, "the request line is too long");
    if (i == len)
        return unfinished(h, len);
    if (p[i] != ' ' || i == start)
        return fail(h, 400, "the request line is none");
    h->target = (uint16_t)start;
    h->target_len = (uint16_t)(i - start);

    start = ++i;
    if (len - start < 10) {
        /* enough to see a bad one early, so that it is not waited for */
        if (memcmp(p + start, "HTTP/1.1\r", len - start < 5 ? len - start : 5) != 0)
            return fail(h, 400, "the request line is none");
        if (len > start && memchr(p + start, '\n', len - start))
            return fail(h, 400, "the request line is none");
        return 0;
    }
    r = parse_version(p + start);
    if (r == -1 || p[start + 8] != '\r' || p[start + 9] != '\n')
        return fail(h, 400, "the request line is none");
    if (r == -2)
        return fail(h, 505, "this HTTP version is not spoken here");
    h->minor = (uint8_t)r;

    r = parse_fields(h, &s, p, start + 10, len);
    if (r == 0)
        return unfinished(h, len);
    if (r < 0)
        return r;
    h->len = (uint16_t)r;

    if (s.hosts == 0 && h->minor == 1)
        return fail(h, 400, "no Host");
    if (s.chunked && s.lengths)
        return fail(h, 400, "both Content-Length and Transfer-Encoding");
    if (s.chunked && h->minor == 0)
        return fail(h, 400, "Transfer-Encoding in HTTP/1.0");
    r = proxy && is_connect(h, p) ? parse_authority(h, &s, p) : parse_target(h, p);
    if (r == 0 && proxy && !h->absolute && !h->connect)
        r = fail(h, 400, "this is a proxy: it wants CONNECT, or a whole URL");
    if (r < 0)
        return r;
    h->body = s.chunked ? BODY_CHUNKED : s.lengths && h->content_length ? BODY_LENGTH : BODY_NONE;
    h->keep_alive = h->minor == 1 && !s.connection_close;
    h->upgrade_websocket = h->minor == 1 && s.connection_upgrade && s.websocket &&
                           h->body == BODY_NONE && h->method_len == 3 &&
                           memcmp(p + h->method, "GET", 3) == 0;
    if (h->minor == 0)
        h->expect_continue = false;
    return h->len;
}

int http1_parse_request(struct http1_head *h, const char *p, size_t len)
{
    return parse_request(h, p, len, false);
}

int http1_parse_proxy_request(struct http1_head *h, const char *p, size_t len)
{
    return parse_request(h, p, len, true);
}

int http1_parse_response(struct http1_head *h, const char *p, size_t len)
{
    struct seen s = {0};
    size_t i;
    int r;

    memset(h, 0, offsetof(struct http1_head, fields));
    h->error = NULL;
    if (len > HTTP1_HEAD_MAX)
        len = HTTP1_HEAD_MAX;
    if (len < 14) { /* "HTTP/1.1 200\r\n" */
        if (len && (memcmp(p, "HTTP/", len < 5 ? len : 5) != 0 || memchr(p, '\n', len)))
            return fail(h, 502, "the status line is none");
        return 0;
    }
    r = parse_version(p);
    if (r < 0 || p[8] != ' ')
        return fail(h, 502,
                    r == -2 ? "an HTTP version that is not 1.0 or 1.1" : "the status line is none");
    h->minor = (uint8_t)r;
    for (i = 9; i < 12; i++)
        if (p[i] < '0' || p[i] > '9')
            return fail(h, 502, "the status is no number");
    h->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
    if (h->status < 100 || h->status > 599)
        return fail(h, 502, "the status is not between 100 and 599");
    if (p[12] == ' ') {
        i = 13;
        h->reason = (uint16_t)i;
        while ((i = scan_value(p, i, len)) < len && p[i] == '\t')
            i++;
        h->reason_len = (uint16_t)(i - h->reason);
    }
    if (i >= len || (p[i] == '\r' && i + 1 >= len))
        return len >= HTTP1_HEAD_MAX ? fail(h, 502, "the header is too long") : 0;
    if (p[i] != '\r' || p[i + 1] != '\n')
        return fail(h, 502, "the status line is none");

    r = parse_fields(h, &s, p, i + 2, len);
    if (r == 0)
        return len >= HTTP1_HEAD_MAX ? fail(h, 502, "the header is too long") : 0;
    if (r < 0)
        return -502;
    h->len = (uint16_t)r;
    if (s.chunked && s.lengths)
        return fail(h, 502, "both Content-Length and Transfer-Encoding");
    if (s.chunked && h->minor == 0)
        return fail(h, 502, "Transfer-Encoding in HTTP/1.0");
    h->body = s.chunked ? BODY_CHUNKED : s.lengths ? BODY_LENGTH : BODY_TO_EOF;
    h->keep_alive = h->minor == 1 && !s.connection_close;
    h->upgrade_websocket = s.connection_upgrade && s.websocket;
    return h->len;
}
