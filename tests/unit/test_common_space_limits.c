/* Limits of one Space: names, values and spelling are those of [limits]. */
#include "common/conf.h"
#include "common/space_limits.h"
#include "unit.h"

#include <errno.h>
#include <string.h>

static void every_limit_is_an_option(void **state)
{
    (void)state;
    struct conf c;
    struct space_limits l;
    assert_int_equal(conf_init(&c), 0);
    space_limits_default(&l, &c);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        char text[48];
        uint64_t v = 0;
        struct err err = {0};
        enum space_limit which = (enum space_limit)i;
        assert_int_equal(space_limit_find(space_limit_name(which)), i);
        assert_true(space_limit_about(which)[0] != '\0');
        space_limit_text(which, l.v[i], text);
        assert_int_equal(space_limit_parse(which, text, &v, &err), 0);
        assert_true(v == l.v[i]);
    }
    conf_free(&c);
}

static void wrong_values_are_named(void **state)
{
    (void)state;
    struct err err = {0};
    uint64_t v = 7;
    assert_int_equal(space_limit_find("nonsense"), LIMIT_COUNT);
    assert_int_equal(space_limit_parse(LIMIT_MEMORY, "1M", &v, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "limits.memory"));
    assert_non_null(strstr(err.msg, "at least 16M"));
    assert_int_equal(space_limit_parse(LIMIT_PIDS, "-4", &v, &err), -EINVAL);
    assert_int_equal(space_limit_parse(LIMIT_CPU, "", &v, &err), -EINVAL);
    assert_true(v == 7);
    assert_int_equal(space_limit_parse(LIMIT_NETWORK, "internet", &v, &err), 0);
    assert_true(v == 1);
    assert_int_equal(space_limit_parse(LIMIT_NETWORK, "everywhere", &v, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_is_an_option),
        cmocka_unit_test(wrong_values_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
