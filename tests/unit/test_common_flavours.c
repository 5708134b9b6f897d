/* [hardware] flavours. */
#include "common/flavours.h"
#include "unit.h"

#include <errno.h>

static char names[200];

static int add(void *arg, const struct flavour *f)
{
    (void)arg;
    size_t n = strlen(names);
    snprintf(names + n, sizeof names - n, "%s ", f->name);
    return 0;
}

static void the_list(void **state)
{
    (void)state;
    struct err err = {0};
    names[0] = 0;
    assert_int_equal(flavours_each("", add, NULL, &err), 0);
    assert_string_equal(names, "cpu-basic ");
    names[0] = 0;
    assert_int_equal(
        flavours_each(" big: memory=8G cpu=4;cpu-basic:memory=2G ; x:;", add, NULL, &err), 0);
    assert_string_equal(names, "cpu-basic big x ");
}

static void what_one_gives(void **state)
{
    (void)state;
    struct conf c;
    struct flavour f;
    struct space_limits l;
    struct err err = {0};
    assert_int_equal(conf_init(&c), 0);
    assert_int_equal(conf_set(&c, "hardware.flavours",
                              "big: memory=8G  cpu=0.5 pids=9; cpu-basic: memory=2G", "test", &err),
                     0);
    assert_true(flavour_find(&c, "big", &f));
    space_limits_default(&l, &c);
    flavour_apply(&f, &l);
    assert_true(l.v[LIMIT_MEMORY] == 8ull << 30 && l.v[LIMIT_CPU] == 500 && l.v[LIMIT_PIDS] == 9);
    assert_true(l.v[LIMIT_OPEN_FILES] == c.limits_open_files);
    assert_false(flavour_find(&c, "nobodys", &f));
    assert_string_equal(f.name, "cpu-basic");
    assert_true(f.has[LIMIT_MEMORY] && f.own.v[LIMIT_MEMORY] == 2ull << 30);
    assert_true(flavour_find(&c, "cpu-basic", &f));
    conf_free(&c);
}

static void the_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *list, *name, *nearest;
    } cases[] = {
        {"", "t4-small", "cpu-basic"},
        {"a: memory=4G cpu=2; b: memory=16G cpu=4; c: memory=64G cpu=8", "t4-small", "b"},
        {"c: memory=64G cpu=8; b: memory=16G cpu=4; a: memory=4G", "zero-a10g", "b"},
        {"a: memory=16G cpu=2; b: memory=64G cpu=8", "a10g-small", "b"}, /* too few CPUs */
        {"a: memory=4G cpu=2; b: memory=16G cpu=4", "a100-large", "b"},  /* the largest */
        {"a: memory=16G cpu=2; b: memory=16G cpu=4", "l40sx8", "b"},
        {"a: memory=16G cpu=8", "nobodys", "cpu-basic"},
        /* with a GPU: never one without, as long as there is one with */
        {"a: memory=64G cpu=8; g: memory=4G gpu=1", "t4-small", "g"},
        {"a: memory=64G cpu=8; g: memory=4G gpu=1", "zero-a10g", "g"},
        {"a: memory=64G cpu=8; g: memory=4G gpu=1", "cpu-upgrade", "a"},
        {"g: memory=64G cpu=8 gpu=1", "cpu-upgrade", "cpu-basic"},
        {"g2: memory=32G cpu=8 gpu=2; g1: memory=64G cpu=8 gpu=1", "a10g-small", "g1"},
        {"g4: memory=256G cpu=64 gpu=4; g1: memory=8G cpu=2 gpu=1", "t4-small", "g4"}, /* fits */
        {"g4: memory=8G cpu=2 gpu=4; g1: memory=8G cpu=2 gpu=1", "t4-small", "g1"},
        {"g4: memory=8G cpu=2 gpu=4; g1: memory=64G cpu=8 gpu=1", "a10g-largex2", "g4"},
        {"g2: memory=8G cpu=2 gpu=2; g1: memory=8G cpu=2 gpu=1", "a100x8", "g2"}, /* most */
        {"cpu-basic: gpu=1", "cpu-upgrade", "cpu-basic"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct conf c;
        struct flavour f;
        struct err err = {0};
        assert_int_equal(conf_init(&c), 0);
        assert_int_equal(conf_set(&c, "hardware.flavours", cases[i].list, "test", &err), 0);
        assert_false(flavour_find(&c, cases[i].name, &f));
        assert_string_equal(f.name, cases[i].nearest);
        conf_free(&c);
    }
}

static void gpus_of_one(void **state)
{
    (void)state;
    struct conf c;
    struct flavour f;
    struct err err = {0};
    assert_int_equal(conf_init(&c), 0);
    assert_false(flavours_have_gpu(&c));
    assert_int_equal(
        conf_set(&c, "hardware.flavours", "two: gpu=2 memory=1G; none: gpu=0", "test", &err), 0);
    assert_true(flavours_have_gpu(&c));
    assert_true(flavour_find(&c, "two", &f));
    assert_int_equal(f.gpus, 2);
    assert_true(flavour_find(&c, "none", &f));
    assert_int_equal(f.gpus, 0);
    assert_int_equal(flavour_hub_gpus("a10g-largex4"), 4);
    assert_int_equal(flavour_hub_gpus("cpu-upgrade"), 0);
    assert_int_equal(flavour_hub_gpus("two"), 0);
    conf_free(&c);
}

static void what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *list, *says;
    } bad[] = {
        {"big", "not NAME: LIMIT=VALUE"},
        {"Big: cpu=1", "no name"},
        {": cpu=1", "no name"},
        {"big: cpu", "not LIMIT=VALUE"},
        {"big: cpus=1", "none of the"},
        {"big: cpu=many", "big"},
        {"big: gpu=half", "whole number of GPUs"},
        {"big: gpu=-1", "whole number of GPUs"},
        {"big: gpu=17", "up to 16"},
        {"big: gpu=", "whole number of GPUs"},
        {"big: memory=1", "big"},
        {"big: network=1", "none of the"},
        {"a: cpu=1; -b: cpu=1", "no name"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        assert_int_equal(flavours_each(bad[i].list, NULL, NULL, &err), -EINVAL);
        assert_non_null(strstr(err.msg, bad[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list),      cmocka_unit_test(what_one_gives),
        cmocka_unit_test(the_nearest),   cmocka_unit_test(gpus_of_one),
        cmocka_unit_test(what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
