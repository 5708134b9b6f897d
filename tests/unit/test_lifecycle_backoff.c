/* objects: runner/backoff.o */
#include "tests/unit/unit.h"

#include "runner/backoff.h"

static const struct backoff_rules rules = {.start_tries = 3,
                                           .crash_limit = 4,
                                           .crash_window_ms = 1000,
                                           .backoff_first_ms = 100,
                                           .backoff_max_ms = 350};

static void failed_starts_in_a_row(void **state)
{
    (void)state;
    struct backoff b = {0};
    struct backoff_verdict v = backoff_failed_start(&b, &rules);
    assert_true(!v.give_up && v.pause_ms == 100);
    v = backoff_failed_start(&b, &rules);
    assert_true(!v.give_up && v.pause_ms == 200);
    backoff_ready(&b);
    v = backoff_failed_start(&b, &rules);
    assert_true(!v.give_up && v.pause_ms == 100);
    backoff_failed_start(&b, &rules);
    assert_true(backoff_failed_start(&b, &rules).give_up);
    backoff_forgive(&b);
    assert_int_equal(backoff_count(&b), 0);
}

static void hold_ups_are_no_failures(void **state)
{
    (void)state;
    struct backoff b = {0};
    const uint64_t due[] = {100, 200, 350, 350, 350, 350};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(backoff_hold_up(&b, &rules), due[i]);
    assert_int_equal(backoff_count(&b), 0);
    assert_int_equal(backoff_failed_start(&b, &rules).pause_ms, 100);
    backoff_ready(&b);
    assert_int_equal(backoff_hold_up(&b, &rules), 100);
    backoff_forgive(&b);
}

static void pauses_double_up_to_the_longest(void **state)
{
    (void)state;
    struct backoff b = {0};
    const uint64_t due[] = {100, 200, 350, 350};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(backoff_crash(&b, &rules, 10 + i).pause_ms, due[i]);
    backoff_forgive(&b);
}

static void crashes_within_the_window(void **state)
{
    (void)state;
    struct backoff b = {0};
    for (uint64_t t = 1000; t <= 1600; t += 300)
        assert_false(backoff_crash(&b, &rules, t).give_up);
    backoff_ready(&b); /* being up for a moment does not wash a crash away */
    assert_true(backoff_crash(&b, &rules, 1900).give_up);
    backoff_forgive(&b);
}

static void old_crashes_are_forgotten(void **state)
{
    (void)state;
    struct backoff b = {0};
    for (uint64_t t = 1000; t < 100000; t += 400) /* three a window, for ever */
        assert_false(backoff_crash(&b, &rules, t).give_up);
    assert_in_range(b.n_crashes, 1, 3);
    struct backoff_verdict v = backoff_crash(&b, &rules, 900000);
    assert_true(!v.give_up && v.pause_ms == 100 && b.n_crashes == 1);
    backoff_forgive(&b);
}

static void an_endless_window_is_bounded(void **state)
{
    (void)state;
    struct backoff b = {0};
    struct backoff_rules r = rules;
    r.crash_window_ms = UINT64_MAX;
    r.crash_limit = BACKOFF_MAX_CRASHES;
    for (uint64_t i = 0; i < 3 * BACKOFF_MAX_CRASHES; i++)
        assert_int_equal(backoff_crash(&b, &r, i).give_up, i + 1 >= BACKOFF_MAX_CRASHES);
    assert_int_equal(b.n_crashes, BACKOFF_MAX_CRASHES);
    backoff_forgive(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_starts_in_a_row),
        cmocka_unit_test(hold_ups_are_no_failures),
        cmocka_unit_test(pauses_double_up_to_the_longest),
        cmocka_unit_test(crashes_within_the_window),
        cmocka_unit_test(old_crashes_are_forgotten),
        cmocka_unit_test(an_endless_window_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
