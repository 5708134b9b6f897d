#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BODY_MAX = 8192 };

static bool header_is(const char *line, const char *end, const char *name, const char **ret_value)
{
    size_t n = strlen(name);

    if ((size_t)(end - line) <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return false;
    *ret_value = line + n + 1 + strspn(line + n + 1, " \t");
    return true;
}

static bool parse_line(const char *line, const char *end, struct http_request *ret)
{
    const char *target = memchr(line, ' ', (size_t)(end - line));
    const char *last = target ? memchr(target + 1, ' ', (size_t)(end - target - 1)) : NULL;

    if (!last || end - last != 9 || memcmp(last, " HTTP/1.1", 9) != 0)
        return false;
    ret->post = target - line == 4 && memcmp(line, "POST", 4) == 0;
    ret->head_only = target - line == 4 && memcmp(line, "HEAD", 4) == 0;
    target++;
    const char *mark = memchr(target, '?', (size_t)(last - target));
    size_t path_len = (size_t)((mark ? mark : last) - target);

    if (path_len >= sizeof(ret->path))
        path_len = sizeof(ret->path) - 1; /* no page has such a name */
    memcpy(ret->path, target, path_len);
    if (mark) {
        ret->query = mark + 1;
        ret->query_len = (size_t)(last - mark - 1);
    }
    return true;
}

long http_parse(const char *data, size_t len, struct http_request *ret)
{
    const char *head_end = memmem(data, len, "\r\n\r\n", 4), *value;
    unsigned long body_len = 0;

    *ret = (struct http_request){.keep_alive = true, .query = "", .body = ""};
    if (!head_end)
        return 0;
    const char *line = data, *end = memmem(data, len, "\r\n", 2);

    if (!parse_line(line, end, ret))
        return -1;
    while (end < head_end) {
        line = end + 2;
        end = memmem(line, (size_t)(head_end + 2 - line), "\r\n", 2);
        if (header_is(line, end, "Content-Length", &value))
            body_len = strtoul(value, NULL, 10);
        else if (header_is(line, end, "Transfer-Encoding", &value))
            return -1;
        else if (header_is(line, end, "Connection", &value) && strncasecmp(value, "close", 5) == 0)
            ret->keep_alive = false;
    }
    size_t head_len = (size_t)(head_end - data) + 4;

    if (body_len > BODY_MAX)
        return -1;
    if (len - head_len < body_len)
        return 0;
    ret->body = data + head_len;
    ret->body_len = body_len;
    return (long)(head_len + body_len);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void decode(const char *p, const char *end, char *out, size_t size)
{
    size_t o = 0;

    for (; p < end && o + 1 < size; p++) {
        char c = *p == '+' ? ' ' : *p;

        if (c == '%' && end - p > 2 && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
            c = (char)(hex_digit(p[1]) * 16 + hex_digit(p[2]));
            p += 2;
        }
        out[o++] = c;
    }
    out[o] = '\0';
}

static bool param_in(const char *p, size_t len, const char *name, char *out, size_t size)
{
    const char *end = p + len;
    size_t n = strlen(name);

    while (p < end) {
        const char *amp = memchr(p, '&', (size_t)(end - p));

        if (!amp)
            amp = end;
        if ((size_t)(amp - p) > n && memcmp(p, name, n) == 0 && p[n] == '=') {
            decode(p + n + 1, amp, out, size);
            return true;
        }
        p = amp + (amp < end);
    }
    return false;
}

bool http_param(const struct http_request *req, const char *name, char *out, size_t size)
{
    return param_in(req->body, req->body_len, name, out, size) ||
           param_in(req->query, req->query_len, name, out, size);
}
