/* Addresses of [network] deny and allow. */
#include "unit.h"

#include "common/netrule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static void test_what_is_an_entry(void **state)
{
    (void)state;
    static const struct {
        const char *text, *addr;
        unsigned prefix;
        uint16_t port;
    } good[] = {
        {"10.1.2.3", "10.1.2.3", 32, 0},       {"10.1.2.3/8", "10.0.0.0", 8, 0},
        {"10.1.2.3:443", "10.1.2.3", 32, 443}, {"10.1.2.3/31:80", "10.1.2.2", 31, 80},
        {"0.0.0.0/0", "0.0.0.0", 0, 0},        {"fd00::1", "fd00::1", 128, 0},
        {"fd12:3456::1/17", "fd12::", 17, 0},  {"[fd00::1]:53", "fd00::1", 128, 53},
        {"[fd00::1]/64:53", "fd00::", 64, 53},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct netrule r;
        uint8_t addr[16] = {0};
        assert_int_equal(netrule_parse(good[i].text, true, &r, NULL), 0);
        assert_int_equal(inet_pton(r.v6 ? AF_INET6 : AF_INET, good[i].addr, addr), 1);
        assert_memory_equal(r.addr, addr, r.v6 ? 16 : 4);
        assert_int_equal(r.prefix, good[i].prefix);
        assert_int_equal(r.port, good[i].port);
    }
}

static void test_what_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"",          "host",       "10.1.2",      "10.1.2.3/33",
                                      "10.1.2.3/", "10.1.2.3:0", "10.1.2.3:",   "10.1.2.3:65536",
                                      "1.2.3.4x",  "[fd00::1",   "[10.1.2.3]",  "fd00::1/129",
                                      "fd00::/8x", "1.2.3.4/-1", "10.1.2.3/8/8"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct netrule r;
        struct err err = {0};
        assert_int_equal(netrule_parse(bad[i], true, &r, &err), -EINVAL);
        assert_non_null(strchr(err.msg, '"'));
    }
    struct netrule r;
    assert_int_equal(netrule_parse("10.1.2.3:80", false, &r, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_an_entry),
        cmocka_unit_test(test_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
