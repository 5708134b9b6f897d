/* objects: gateway/blank.o */
#include "tests/unit/unit.h"

#include "gateway/blank.h"

#include <string.h>

static const char *blank(const char *target)
{
    static char out[256];
    size_t n = blank_target(target, strlen(target), out, sizeof(out) - 1);
    out[n] = '\0';
    return out;
}

static void what_says_nothing_stays(void **state)
{
    (void)state;
    static const char *const same[] = {
        "/",
        "/a?",
        "/a?b",
        "/a?b=c&d=e",
        "*",
        "/a?b=%20&&=x",
        "/keyword?keyword=x&zipcode=1",
        "http://s/p?page=2#f",
        "/a?b=",
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
        assert_string_equal(blank(same[i]), same[i]);
}

static void what_opens_something_goes(void **state)
{
    (void)state;
    assert_string_equal(blank("/a?__sign=x&b=1"), "/a?__sign=***&b=1");
    assert_string_equal(blank("/a?b=1&%5F%5fs%69gn=x"), "/a?b=1&%5F%5fs%69gn=***");
    assert_string_equal(blank("/a?%255f%2573ign=x"), "/a?%255f%2573ign=***");
    assert_string_equal(blank("/a?ACCESS_TOKEN=x;key=y"), "/a?ACCESS_TOKEN=***;key=***");
    assert_string_equal(blank("/login?link=abc"), "/login?link=***");
    assert_string_equal(blank("/.vitrine/visit?1.2.3&/p?q=1"), "/.vitrine/visit?***");
    assert_string_equal(blank("http://h/.vitrine/visit?1&/"), "http://h/.vitrine/visit?***");
    assert_string_equal(blank("/visit/x?to=%2Fp%3F__sign%3Dabc"), "/visit/x?to=***");
    assert_string_equal(blank("/visit/x?to=%2Fp%3Fa%3D1"), "/visit/x?to=%2Fp%3Fa%3D1");
    assert_string_equal(blank("/a?0123456789012345678901234"), "/a?***");
}

static void what_does_not_fit_is_cut(void **state)
{
    (void)state;
    char out[8];
    assert_int_equal(blank_target("/a?token=secret", 15, out, 8), 8);
    assert_memory_equal(out, "/a?token", 8);
    assert_int_equal(blank_target("/a?token=secret", 15, out, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_says_nothing_stays),
        cmocka_unit_test(what_opens_something_goes),
        cmocka_unit_test(what_does_not_fit_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
