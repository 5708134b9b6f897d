/* objects: ; bytes that are looked at eight at a time, against the same one by one */
#include "unit.h"

#include "common/http1_scan.h"

#include <stdlib.h>
#include <string.h>

#define MOST 20

static bool is_value(uint8_t c)
{
    return c >= 0x20 && c != 0x7f;
}

static bool is_target(uint8_t c)
{
    return c > 0x20 && c < 0x7f && c != '#';
}

static bool is_plain(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static bool is_host(uint8_t c)
{
    return is_plain(c) || c == '.' || c == '_';
}

static bool is_token(uint8_t c)
{
    return is_plain(c) || (c && strchr("!#$%&'*+.^_`|~", c));
}

static size_t one_by_one(bool (*is)(uint8_t), const char *p, size_t i, size_t len)
{
    while (i < len && is((uint8_t)p[i]))
        i++;
    return i;
}

static void compare(const char *p, size_t i, size_t len)
{
    bool odd = false, any = false;
    assert_int_equal(scan_value(p, i, len), one_by_one(is_value, p, i, len));
    assert_int_equal(scan_target(p, i, len), one_by_one(is_target, p, i, len));
    assert_int_equal(scan_host(p, i, len), one_by_one(is_host, p, i, len));
    size_t end = one_by_one(is_token, p, i, len);
    assert_int_equal(scan_token(p, i, len, &odd), end);
    for (; i < end; i++)
        any = any || !is_plain((uint8_t)p[i]);
    assert_int_equal(odd, any);
}

/* Each byte at each place among others; of exactly this length, so that a sanitizer sees more. */
static void each_byte_at_each_place(void **state)
{
    static const char others[] = "aZ0-._ \x7f\x80\xff!#\t\x1f\x21\x7e@[`{";
    (void)state;
    for (size_t len = 1; len <= MOST; len++) {
        char *p = malloc(len);
        for (size_t o = 0; o < sizeof(others); o++) /* NUL as well */
            for (size_t at = 0; at < len; at++)
                for (unsigned c = 0; c < 256; c++) {
                    memset(p, others[o], len);
                    p[at] = (char)c;
                    compare(p, 0, len);
                    compare(p, len / 3, len);
                }
        free(p);
    }
}

/* What borrows from its neighbour. */
static void each_pair_of_neighbours(void **state)
{
    (void)state;
    char *p = malloc(9);
    for (unsigned pair = 0; pair < 65536; pair++)
        for (size_t at = 0; at < 8; at++) {
            memset(p, 'a', 9);
            p[at] = (char)(pair >> 8);
            p[at + 1] = (char)pair;
            compare(p, 0, 9);
        }
    free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_byte_at_each_place),
    cmocka_unit_test(each_pair_of_neighbours),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
