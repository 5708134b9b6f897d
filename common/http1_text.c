#include "http1.h"
#include "http1_scan.h"

const uint8_t http1_token_char[256] = {
    ['!'] = 2, ['#'] = 2, ['$'] = 2, ['%'] = 2,         ['&'] = 2,         ['\''] = 2,
    ['*'] = 2, ['+'] = 2, ['-'] = 1, ['.'] = 2,         ['^'] = 2,         ['_'] = 2,
    ['`'] = 2, ['|'] = 2, ['~'] = 2, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

bool http1_is(const char *p, size_t len, const char *lit)
{
    for (size_t i = 0; i < len; i++)
        if (lit[i] == '\0' || lower(p[i]) != lit[i])
            return false;
    return lit[len] == '\0';
}

bool http1_contains(const char *p, size_t len, const char *lit)
{
    size_t n = strlen(lit);
    for (size_t i = 0; i + n <= len; i++)
        if (lower(p[i]) == lit[0] && http1_is(p + i, n, lit))
            return true;
    return false;
}

bool http1_is_token(const char *p, size_t len)
{
    bool odd = false;
    return len > 0 && scan_token(p, 0, len, &odd) == len;
}

bool http1_value_ok(const char *p, size_t len)
{
    size_t i = 0;
    while ((i = scan_value(p, i, len)) < len)
        if (p[i++] != '\t')
            return false;
    return true;
}

bool http1_list_has(const char *p, size_t len, const char *token)
{
    const char *e;
    size_t at = 0, n;
    while (scan_element(p, len, &at, &e, &n))
        if (http1_is(e, n, token))
            return true;
    return false;
}

bool http1_host_ok(const char *p, size_t len, size_t *host_len)
{
    size_t i = 0;
    if (len == 0 || len > HTTP1_HOST_MAX)
        return false;
    if (p[0] == '[') { /* IP-literal */
        for (i = 1; i < len && p[i] != ']'; i++) {
            char c = lower(p[i]);
            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.'))
                return false;
        }
        if (i == len || i < 3)
            return false;
        i++;
    } else {
        /* letters, digits, - . _ : what a name or an IPv4 address is made of; reg-name's
         * percent-escapes and sub-delims occur in no host that exists */
        i = scan_host(p, 0, len);
        if (i == 0 || p[0] == '.' || (i < len && p[i] != ':'))
            return false;
    }
    *host_len = i;
    if (i == len)
        return true;
    if (p[i] != ':' || len - i > 6)
        return false;
    for (i++; i < len; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}
