#include "static/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t request_head_len(const char *data, size_t len)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);

    return end ? (size_t)(end - data) + 4 : 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The path of a request target, decoded; several '/' become one. */
static int decode_path(const char *p, const char *end, struct request *req)
{
    size_t o = 0;

    while (p < end && *p != '?') {
        int c = (unsigned char)*p++;

        if (c == '%') {
            int hi = end - p >= 2 ? hex_digit(p[0]) : -1, lo = hi >= 0 ? hex_digit(p[1]) : -1;

            if (lo < 0)
                return 400;
            c = hi * 16 + lo;
            p += 2;
        }
        if (c < 0x20 || c == 0x7f)
            return 400;
        if (c == '/' && o > 0 && req->path[o - 1] == '/')
            continue;
        if (o + 1 >= sizeof(req->path))
            return 414;
        req->path[o++] = (char)c;
    }
    req->path[o] = '\0';
    req->query = p;
    req->query_len = (size_t)(end - p);
    return req->path[0] == '/' ? 0 : 400;
}

static int parse_line(const char *p, const char *end, struct request *req)
{
    const char *sp = memchr(p, ' ', (size_t)(end - p));
    const char *target = sp ? sp + 1 : end;
    const char *target_end = memchr(target, ' ', (size_t)(end - target));

    if (!sp || !target_end)
        return 400;
    req->get = sp - p == 3 && memcmp(p, "GET", 3) == 0;
    req->head = sp - p == 4 && memcmp(p, "HEAD", 4) == 0;
    if (end - target_end != 9 || memcmp(target_end + 1, "HTTP/1.", 7) != 0)
        return 505;
    req->keep_alive = target_end[8] != '0';
    if (target_end - target > 7 && strncasecmp(target, "http://", 7) == 0) {
        const char *slash = memchr(target + 7, '/', (size_t)(target_end - target - 7));

        if (!slash)
            return 400;
        target = slash;
    }
    return decode_path(target, target_end, req);
}

static void keep(char *out, size_t size, const char *value, size_t len)
{
    if (len < size) {
        memcpy(out, value, len);
        out[len] = '\0';
    }
}

static void parse_header(const char *name, size_t name_len, const char *value, size_t len,
                         struct request *req)
{
#define IS(text) (name_len == sizeof(text) - 1 && strncasecmp(name, text, name_len) == 0)
    if (IS("Range"))
        keep(req->range, sizeof(req->range), value, len);
    else if (IS("If-Range"))
        keep(req->if_range, sizeof(req->if_range), value, len);
    else if (IS("If-None-Match"))
        keep(req->if_none_match, sizeof(req->if_none_match), value, len);
    else if (IS("If-Modified-Since"))
        keep(req->if_modified_since, sizeof(req->if_modified_since), value, len);
    else if (IS("Transfer-Encoding"))
        req->has_body = true;
    else if (IS("Content-Length"))
        req->has_body = req->has_body || !(len == 1 && *value == '0');
    else if (IS("Connection") && len == 5 && strncasecmp(value, "close", 5) == 0)
        req->keep_alive = false;
#undef IS
}

int request_parse(const char *head, size_t len, struct request *ret)
{
    const char *p = head, *end = head + len;
    const char *nl = memmem(p, len, "\r\n", 2);

    memset(ret, 0, sizeof(*ret));
    ret->query = "";
    if (!nl || memchr(head, '\0', len))
        return 400;
    int status = parse_line(p, nl, ret);

    for (p = nl + 2; status == 0 && p < end - 2; p = nl + 2) {
        nl = memmem(p, (size_t)(end - p), "\r\n", 2);
        const char *colon = memchr(p, ':', (size_t)(nl - p));

        if (!colon || colon == p || colon[-1] == ' ' || *p == ' ' || *p == '\t')
            return 400;
        const char *value = colon + 1, *value_end = nl;

        while (value < value_end && (*value == ' ' || *value == '\t'))
            value++;
        while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t'))
            value_end--;
        parse_header(p, (size_t)(colon - p), value, (size_t)(value_end - value), ret);
    }
    return status;
}

/* Digits only, and no more than a size has. */
static bool parse_number(const char *s, const char **ret_end, uint64_t *ret)
{
    size_t digits = strspn(s, "0123456789");

    *ret_end = s + digits;
    if (digits == 0 || digits > 18)
        return false;
    *ret = strtoull(s, NULL, 10);
    return true;
}

int request_range(const char *range, uint64_t size, uint64_t *ret_start, uint64_t *ret_len)
{
    const char *p;
    uint64_t first, last = UINT64_MAX;

    if (strncasecmp(range, "bytes=", 6) != 0 || strchr(range, ','))
        return 0;
    p = range + 6;
    if (*p == '-') { /* the last so many bytes */
        uint64_t count;

        if (!parse_number(p + 1, &p, &count) || *p)
            return 0;
        if (count == 0 || size == 0)
            return 416;
        *ret_len = count < size ? count : size;
        *ret_start = size - *ret_len;
        return 206;
    }
    if (!parse_number(p, &p, &first) || *p++ != '-')
        return 0;
    if (*p && (!parse_number(p, &p, &last) || *p || last < first))
        return 0;
    if (first >= size)
        return 416;
    if (last > size - 1)
        last = size - 1;
    *ret_start = first;
    *ret_len = last - first + 1;
    return 206;
}
