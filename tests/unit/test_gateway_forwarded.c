/* objects: gateway/forwarded.o gateway/trust.o gateway/limits.o */
#include "tests/unit/unit.h"

#include "gateway/forwarded.h"
#include "gateway/trust.h"

#include <string.h>

static const char *address(const char *text)
{
    static char out[46];
    struct sockaddr_storage a;
    bool ip6;
    if (!forwarded_address(text, strlen(text), &a))
        return "";
    trust_text(&a, out, &ip6);
    return out;
}

static void addresses(void **state)
{
    (void)state;
    assert_string_equal(address("192.0.2.1"), "192.0.2.1");
    assert_string_equal(address(" 192.0.2.1:80 "), "192.0.2.1");
    assert_string_equal(address("2001:db8::1"), "2001:db8::1");
    assert_string_equal(address("[2001:db8::1]"), "2001:db8::1");
    assert_string_equal(address("\"[2001:db8::1]:4711\""), "2001:db8::1");
    assert_string_equal(address("::ffff:192.0.2.1"), "192.0.2.1");
    static const char *const none[] = {"",
                                       "unknown",
                                       "_hidden",
                                       "192.0.2",
                                       "192.0.2.1:",
                                       "192.0.2.1:port",
                                       "[192.0.2.1]",
                                       "[2001:db8::1",
                                       "[2001:db8::1]x",
                                       "192.0.2.1 x",
                                       "\"192.0.2.1",
                                       "fe80::1%eth0",
                                       "0x7f.0.0.1",
                                       "192.0.2.1:1234567",
                                       "localhost"};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        if (*address(none[i]))
            fail_msg("%s was taken for %s", none[i], address(none[i]));
}

static int elements(const char *text, struct forwarded_element *out, int max)
{
    return forwarded_elements(text, strlen(text), out, max);
}

static void forwarded(void **state)
{
    (void)state;
    struct forwarded_element e[3];
    assert_int_equal(elements("for=192.0.2.1;proto=https;host=\"h:80\" , For=\"[::1]\"", e, 3), 2);
    assert_memory_equal(e[0].by_for, "192.0.2.1", e[0].for_len);
    assert_memory_equal(e[0].proto, "https", 5);
    assert_memory_equal(e[0].host, "h:80", e[0].host_len);
    assert_memory_equal(e[1].by_for, "[::1]", e[1].for_len);
    assert_null(e[1].proto);
    assert_int_equal(elements("for=a, for=b,for=c,for=d", e, 3), 3);
    assert_memory_equal(e[0].by_for, "b", 1);
    assert_int_equal(elements("for=\"a,for=b\";by=x", e, 3), 1);
    assert_int_equal(e[0].for_len, 7);
    assert_int_equal(elements("", e, 3), 1);
    assert_null(e[0].by_for);
    static const char *const bad[] = {"for",     "for=",  "for=\"a",    "for=\"a\\", "=a",
                                      "for=a b", "f r=a", "for=a\"b\"", "for =a",    "for= a"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (elements(bad[i], e, 3) != -1)
            fail_msg("%s was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(forwarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
