/* Bytes of heads are told apart eight at a time. Of common/http1*.c alone. */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* RFC 9110 5.6.2 tchar; 2 marks what CGI-like servers cannot tell from '-' */
extern const uint8_t http1_token_char[256];

static inline char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

#define SCAN_ALL(byte) (0x0101010101010101u * (byte))
#define SCAN_TOPS SCAN_ALL(0x80u)

/* The byte at `p` is the lowest. */
static inline uint64_t scan_load(const char *p)
{
    uint64_t x;
    memcpy(&x, p, 8);
    return le64toh(x);
}

/* Raises the top bit of each byte below `n`, which is at most 0x80. Above such a byte others may be
 * raised as well: it is the first that is right. */
static inline uint64_t scan_below(uint64_t x, uint8_t n)
{
    return (x - SCAN_ALL(n)) & ~x & SCAN_TOPS;
}

static inline uint64_t scan_equal(uint64_t x, uint8_t byte)
{
    return scan_below(x ^ SCAN_ALL(byte), 1);
}

/* The number of the first byte whose top bit is raised; one is. */
static inline size_t scan_first(uint64_t tops)
{
    return (size_t)__builtin_ctzll(tops) / 8;
}

/* The first byte at or after `i` that is a control character (HTAB included), or `len`. */
static inline size_t scan_value(const char *p, size_t i, size_t len)
{
    for (; i + 8 <= len; i += 8) {
        uint64_t x = scan_load(p + i), stops = scan_below(x, 0x20) | scan_equal(x, 0x7f);
        if (stops)
            return i + scan_first(stops);
    }
    while (i < len && (uint8_t)p[i] >= 0x20 && p[i] != 0x7f)
        i++;
    return i;
}

/* The first one that is none of a request target's: what is visible, but for '#'. */
static inline size_t scan_target(const char *p, size_t i, size_t len)
{
    for (; i + 8 <= len; i += 8) {
        uint64_t x = scan_load(p + i), stops = scan_below(x, 0x21) | scan_equal(x, 0x7f) |
                                               scan_equal(x, '#') | (x & SCAN_TOPS);
        if (stops)
            return i + scan_first(stops);
    }
    while (i < len && (uint8_t)p[i] > 0x20 && (uint8_t)p[i] < 0x7f && p[i] != '#')
        i++;
    return i;
}

/* Raises the top bit of each byte that is a letter, a digit or '-', and of no other one. */
static inline uint64_t scan_name_chars(uint64_t x)
{
    uint64_t low = x & ~SCAN_TOPS, letter = low | SCAN_ALL(0x20u), dash = low ^ SCAN_ALL('-');
    uint64_t in = (letter + SCAN_ALL(0x80u - 'a')) & ~(letter + SCAN_ALL(0x7fu - 'z'));
    in |= (low + SCAN_ALL(0x80u - '0')) & ~(low + SCAN_ALL(0x7fu - '9'));
    in |= ~(dash + SCAN_ALL(0x7fu));
    return in & ~x & SCAN_TOPS;
}

/* The first one that is none of a host's name. */
static inline size_t scan_host(const char *p, size_t i, size_t len)
{
    for (; i + 8 <= len; i += 8) {
        uint64_t x = scan_load(p + i), bad = ~scan_name_chars(x) & SCAN_TOPS;
        while (bad && (p[i + scan_first(bad)] == '.' || p[i + scan_first(bad)] == '_'))
            bad &= bad - 1;
        if (bad)
            return i + scan_first(bad);
    }
    while (i < len && (http1_token_char[(uint8_t)p[i]] == 1 || p[i] == '.' || p[i] == '_'))
        i++;
    return i;
}

/* The first one that is no tchar, or `len`; `odd` becomes true where one before it is none of
 * letters, digits and '-'. */
static inline size_t scan_token(const char *p, size_t i, size_t len, bool *odd)
{
    for (;; i++) {
        while (i + 8 <= len) { /* nearly all names have nothing else */
            uint64_t others = ~scan_name_chars(scan_load(p + i)) & SCAN_TOPS;
            i += others ? scan_first(others) : 8;
            if (others)
                break;
        }
        if (i == len || !http1_token_char[(uint8_t)p[i]])
            return i;
        *odd = *odd || http1_token_char[(uint8_t)p[i]] == 2;
    }
}

/* The next element of a comma-separated list of `len` bytes, without the white space around it:
 * its place and length, which is 0 where it is empty (RFC 9110 5.6.1.2). False at the end; `at`
 * begins with 0. */
static inline bool scan_element(const char *v, size_t len, size_t *at, const char **ret,
                                size_t *ret_len)
{
    size_t a = *at, b = *at;
    if (a >= len)
        return false;
    while (b < len && v[b] != ',')
        b++;
    *at = b + 1;
    while (a < b && (v[a] == ' ' || v[a] == '\t'))
        a++;
    while (b > a && (v[b - 1] == ' ' || v[b - 1] == '\t'))
        b--;
    *ret = v + a;
    *ret_len = b - a;
    return true;
}
