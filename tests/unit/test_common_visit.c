/* Visits of private Spaces: signed by the site, checked by the gateway. */
#include "common/headers.h"
#include "common/visit.h"
#include "unit.h"

static unsigned char key[KEYS_VISIT_KEY], pub[KEYS_VISIT_PUB];

static int make_keys(void **state)
{
    struct err err = {0};
    return make_folder(state) < 0 || keys_make(*state, &err) < 0 ||
                   keys_read(*state, "visit.key", key, sizeof key, &err) < 0 ||
                   keys_read(*state, "visit.pub", pub, sizeof pub, &err) < 0
               ? -1
               : 0;
}

static enum visit_verdict check(const char *text, uint64_t space, uint64_t now, bool entering)
{
    uint64_t end = 0;
    return visit_check(pub, space, text, strlen(text), now, entering, &end);
}

static void for_one_space_and_a_while(void **state)
{
    (void)state;
    char text[VISIT_TEXT];
    struct err err = {0};
    uint64_t end = 0;
    assert_int_equal(visit_make(key, 7, 1000, text, &err), 0);
    assert_int_equal(visit_check(pub, 7, text, strlen(text), 1000, true, &end), VISIT_GOOD);
    assert_int_equal(end, 1000 + VISIT_S);
    assert_int_equal(check(text, 7, 1000 + VISIT_ENTER_S - 1, true), VISIT_GOOD);
    assert_int_equal(check(text, 7, 1000 + VISIT_ENTER_S, true), VISIT_OVER);
    assert_int_equal(check(text, 7, 1000 + VISIT_ENTER_S, false), VISIT_GOOD);
    assert_int_equal(check(text, 7, 1000 + VISIT_S - 1, false), VISIT_GOOD);
    assert_int_equal(check(text, 7, 1000 + VISIT_S, false), VISIT_OVER);
    assert_int_equal(check(text, 8, 1000, true), VISIT_BAD);
    assert_int_equal(check(text, 0, 1000, true), VISIT_BAD);
}

static void every_byte_counts(void **state)
{
    (void)state;
    char text[VISIT_TEXT], changed[VISIT_TEXT];
    struct err err = {0};
    assert_int_equal(visit_make(key, 123456789, 1700000000, text, &err), 0);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        for (int bit = 0; bit < 7; bit++) {
            memcpy(changed, text, sizeof changed);
            changed[i] ^= (char)(1 << bit);
            if (changed[i])
                assert_int_equal(check(changed, 123456789, 1700000000, false), VISIT_BAD);
        }
    for (size_t n = 0; n < len; n++) {
        uint64_t end = 0;
        assert_int_equal(visit_check(pub, 123456789, text, n, 1700000000, false, &end), VISIT_BAD);
    }
    snprintf(changed, sizeof changed, "%sA", text);
    assert_int_equal(check(changed, 123456789, 1700000000, false), VISIT_BAD);
    pub[5] ^= 1;
    assert_int_equal(check(text, 123456789, 1700000000, false), VISIT_BAD);
    pub[5] ^= 1;
}

static void what_is_no_visit(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "v1.",
                                      "v1....",
                                      "v1.7.1.2.",
                                      "v2.7.1.2.AAAA",
                                      "v1.07.1.2.AAAA",
                                      "v1.-7.1.2.AAAA",
                                      "v1.99999999999999999999999.1.2.AAAA",
                                      "v1.7.1.2.AAAA.BBBB",
                                      "v1. 7.1.2.AAAA"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(check(bad[i], 7, 0, false), VISIT_BAD);
}

static void header_values(void **state)
{
    (void)state;
    assert_int_equal(custom_header_find("Cross-Origin-Opener-Policy"), HEADER_COOP);
    assert_int_equal(custom_header_find("content-security-policy"), HEADER_COUNT);
    for (int h = 0; h < HEADER_COUNT; h++) {
        unsigned n = 1;
        for (; custom_header_text(h, n); n++)
            assert_int_equal(custom_header_value(h, custom_header_text(h, n)), n);
        assert_true(n > 3);
        assert_null(custom_header_text(h, 0));
        assert_null(custom_header_text(h, 250));
    }
    assert_int_equal(custom_header_value(HEADER_CORP, "require-corp"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(for_one_space_and_a_while),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(what_is_no_visit),
        cmocka_unit_test(header_values),
    };
    return cmocka_run_group_tests(tests, make_keys, remove_folder);
}
