#include "tests/unit/unit.h"

#include "common/proxyhead.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define SIG "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
#define V4                                                                                         \
    "\xc0\x00\x02\x01\xc6\x33\x64\x01\x30\x39\x01\xbb" /* 192.0.2.1:12345 198.51.100.1:443         \
                                                        */

static int parse(struct proxyhead *h, const char *p, size_t len)
{
    /* whatever is short of it needs more; no byte behind it is looked at */
    int n = proxyhead_parse(h, p, len);
    for (size_t i = 0; n > 0 && i < (size_t)n; i++)
        assert_int_equal(proxyhead_parse(h, p, i), 0);
    return proxyhead_parse(h, p, len);
}
#define PARSE(h, literal) parse(h, "" literal "", sizeof(literal) - 1)

static const char *text(const struct proxyhead *h)
{
    static char out[64];
    if (h->from.ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)&h->from)->sin_addr, out,
                  64);
    else
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)&h->from)->sin6_addr, out,
                  64);
    return out;
}

static void version_2(void **state)
{
    (void)state;
    struct proxyhead h;
    assert_int_equal(PARSE(&h, SIG "\x21\x11\x00\x0c" V4 "GET /"), 28);
    assert_true(h.known);
    assert_string_equal(text(&h), "192.0.2.1");
    /* a TLV, and one of no bytes */
    assert_int_equal(PARSE(&h, SIG "\x21\x11\x00\x13" V4 "\x04\x00\x01x\x05\x00\x00"), 35);
    assert_true(h.known);
    char v6[16 + 36] = SIG "\x21\x21\x00\x24";
    memcpy(v6 + 16, "\x20\x01\x0d\xb8", 4);
    v6[31] = 7;
    assert_int_equal(parse(&h, v6, sizeof(v6)), sizeof(v6));
    assert_string_equal(text(&h), "2001:db8::7");
    char un[16 + 216] = SIG "\x21\x31\x00\xd8";
    assert_int_equal(parse(&h, un, sizeof(un)), sizeof(un));
    assert_false(h.known);
    /* of LOCAL and UNSPEC all is skipped, whatever it is */
    assert_int_equal(PARSE(&h, SIG "\x20\x00\x00\x00"), 16);
    assert_false(h.known);
    assert_int_equal(PARSE(&h, SIG "\x20\x11\x00\x03zzz"), 19);
    assert_false(h.known);
    assert_int_equal(PARSE(&h, SIG "\x21\x00\x00\x02zz"), 18);
    assert_false(h.known);
}

static void version_2_malformed(void **state)
{
    (void)state;
    struct proxyhead h;
    assert_true(PARSE(&h, SIG "\x11\x11\x00\x0c" V4) < 0);                /* version */
    assert_true(PARSE(&h, SIG "\x22\x11\x00\x0c" V4) < 0);                /* command */
    assert_true(PARSE(&h, SIG "\x21\x12\x00\x0c" V4) < 0);                /* UDP */
    assert_true(PARSE(&h, SIG "\x21\x41\x00\x0c" V4) < 0);                /* family */
    assert_true(PARSE(&h, SIG "\x21\x11\x00\x0b" V4) < 0);                /* too short */
    assert_true(PARSE(&h, SIG "\x21\x11\x00\x0e" V4 "\x04\x00") < 0);     /* half a TLV */
    assert_true(PARSE(&h, SIG "\x21\x11\x00\x0f" V4 "\x04\x00\x01") < 0); /* without its value */
    assert_true(PARSE(&h, SIG "\x21\x11\x04\x00" V4) < 0);                /* too long */
    assert_true(PARSE(&h, "\x0d\x0a\x0d\x0b") < 0);
    assert_true(PARSE(&h, "GET / HTTP/1.1\r\n") < 0);
    assert_true(PARSE(&h, "\x16\x03\x01") < 0);
}

static void version_1(void **state)
{
    (void)state;
    struct proxyhead h;
    assert_int_equal(PARSE(&h, "PROXY TCP4 192.0.2.1 198.51.100.1 12345 443\r\nGET"), 45);
    assert_true(h.known);
    assert_string_equal(text(&h), "192.0.2.1");
    assert_int_equal(PARSE(&h, "PROXY TCP6 2001:db8::7 ::1 0 65535\r\n"), 36);
    assert_string_equal(text(&h), "2001:db8::7");
    assert_int_equal(PARSE(&h, "PROXY UNKNOWN\r\n"), 15);
    assert_false(h.known);
    assert_int_equal(PARSE(&h, "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), 35);
    assert_false(h.known);
    const char *bad[] = {
        "PROXY TCP4 192.0.2.1 198.51.100.1 12345 443\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 12345\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 12345 443 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 12345 443 1\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 1 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 01 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n",
        "PROXY TCP4 2001:db8::7 ::1 1 443\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 1 443\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 1 443\r\n",
        "PROXY \r\n",
        "PROXY\r\n",
        "proxy TCP4 192.0.2.1 198.51.100.1 1 443\r\n",
        "", /* too long a line, below */
    };
    char long_line[120] = "PROXY TCP4 ";
    memset(long_line + strlen(long_line), '1', sizeof(long_line) - 1 - strlen(long_line));
    bad[sizeof(bad) / sizeof(*bad) - 1] = long_line;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (proxyhead_parse(&h, bad[i], strlen(bad[i])) >= 0)
            fail_msg("it was taken: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_2),
        cmocka_unit_test(version_2_malformed),
        cmocka_unit_test(version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
