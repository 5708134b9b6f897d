/* util.h: what people write (sizes, durations, names) and the host label that is made of it. */
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Digits, then a suffix of the table; the product must fit. */
struct unit {
    const char *suffix;
    uint64_t factor;
};

static int parse_with_unit(const char *s, const struct unit *units, uint64_t *ret)
{
    uint64_t n = 0;
    const char *p = s;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
            return -EINVAL;
    if (p == s)
        return -EINVAL;
    for (; units->suffix; units++)
        if (strcasecmp(p, units->suffix) == 0)
            return __builtin_mul_overflow(n, units->factor, ret) ? -EINVAL : 0;
    return -EINVAL;
}

int parse_bytes(const char *s, uint64_t *ret)
{
    static const struct unit units[] = {
        {"", 1},           {"B", 1},
        {"K", 1024},       {"KiB", 1024},
        {"M", 1048576},    {"MiB", 1048576},
        {"G", 1073741824}, {"GiB", 1073741824},
        {"T", 1ull << 40}, {"TiB", 1ull << 40},
        {NULL, 0},
    };
    return parse_with_unit(s, units, ret);
}

int parse_duration_ms(const char *s, uint64_t *ret_ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 24 * 3600000}, {NULL, 0},
    };
    if (strcasecmp(s, "never") == 0) {
        *ret_ms = UINT64_MAX;
        return 0;
    }
    if (strcmp(s, "0") == 0) { /* nothing is nothing in every unit */
        *ret_ms = 0;
        return 0;
    }
    return parse_with_unit(s, units, ret_ms);
}

void format_bytes(uint64_t bytes, char out[32])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t i = 0;
    unsigned rest = 0; /* of the last division, in 1024ths */
    for (; bytes >= 1024; bytes /= 1024, i++)
        rest = bytes % 1024;
    unsigned tenths = rest * 10 / 1024;
    if (tenths == 0)
        snprintf(out, 32, "%" PRIu64 " %s", bytes, names[i]);
    else
        snprintf(out, 32, "%" PRIu64 ".%u %s", bytes, tenths, names[i]);
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int name_check(const char *name, const char *what, struct err *err)
{
    size_t len = strlen(name);
    if (len == 0)
        return err_set(err, EINVAL, "the %s is empty: use letters, digits, '-', '_' and '.'", what);
    if (len > 96)
        return err_set(err, EINVAL, "the %s \"%.20s...\" has %zu characters: 96 are the most", what,
                       name, len);
    for (const char *p = name; *p; p++) {
        if (!is_alnum(*p) && !strchr("-_.", *p)) {
            char shown[8];
            if ((unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f)
                snprintf(shown, sizeof shown, "'%c'", *p);
            else
                snprintf(shown, sizeof shown, "\\x%02x", (unsigned char)*p);
            return err_set(err, EINVAL,
                           "the %s holds %s: letters, digits, '-', '_' and '.' are allowed", what,
                           shown);
        }
    }
    if (strstr(name, "--") || strstr(name, ".."))
        return err_set(err, EINVAL, "the %s \"%s\" holds \"%s\": use one character", what, name,
                       strstr(name, "--") ? "--" : "..");
    if (strchr("-.", name[0]) || strchr("-.", name[len - 1]))
        return err_set(err, EINVAL,
                       "the %s \"%s\" begins or ends with '-' or '.': begin and end it with a "
                       "letter, a digit or '_'",
                       what, name);
    if (len >= 4 && strcasecmp(name + len - 4, ".git") == 0)
        return err_set(err, EINVAL, "the %s \"%s\" ends with \".git\": leave that away", what,
                       name);
    return 0;
}

void host_label(const char *owner, const char *name, unsigned salt, char out[64])
{
    char full[256];
    int n = snprintf(full, sizeof full, "%s-%s", owner, name);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof full ? (size_t)n : sizeof full - 1;
    for (size_t i = 0; i < len; i++)
        full[i] = is_alnum(full[i]) ? (char)tolower((unsigned char)full[i]) : '-';
    /* A label begins and ends with a letter or digit (RFC 1035 2.3.4 with RFC 1123 2.1); names like
     * "_x" would break that. */
    bool edges = len > 0 && full[0] != '-' && full[len - 1] != '-';
    if (len <= 63 && salt == 0 && edges) {
        memcpy(out, full, len + 1);
        return;
    }
    char key[300], sum[65];
    int key_len = snprintf(key, sizeof key, "%s/%s#%u", owner, name, salt);
    sha256_hex(key, (size_t)key_len, sum);
    char *start = full;
    while (*start == '-')
        start++;
    size_t keep = strlen(start) < 54 ? strlen(start) : 54;
    while (keep > 0 && start[keep - 1] == '-')
        keep--;
    snprintf(out, 64, "%.*s%s%.8s", (int)keep, start, keep ? "-" : "", sum);
}
