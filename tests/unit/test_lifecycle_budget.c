/* objects: runner/budget.o */
#include "tests/unit/unit.h"

#include "runner/budget.h"

static void places_are_taken_and_given_back(void **state)
{
    (void)state;
    struct budget b = {.max = 2};
    struct budget_claim c[3] = {0};
    assert_true(budget_take(&b, &c[0]));
    assert_true(budget_take(&b, &c[1]));
    assert_false(budget_take(&b, &c[2]));
    assert_null(budget_next(&b));
    budget_release(&b, 1);
    assert_ptr_equal(budget_next(&b), &c[2]);
    assert_int_equal(b.taken, 2);
    assert_int_equal(b.waiting, 0);
}

static void nobody_overtakes(void **state)
{
    (void)state;
    struct budget b = {.max = 1};
    struct budget_claim c[4] = {0};
    assert_true(budget_take(&b, &c[0]));
    assert_false(budget_take(&b, &c[1]));
    assert_false(budget_take(&b, &c[1])); /* once in the line */
    assert_false(budget_take(&b, &c[2]));
    assert_int_equal(b.waiting, 2);
    budget_release(&b, 1);
    assert_false(budget_take(&b, &c[3])); /* there is a place, but not for it */
    assert_ptr_equal(budget_next(&b), &c[1]);
    assert_null(budget_next(&b));
    budget_release(&b, 1);
    assert_ptr_equal(budget_next(&b), &c[2]);
    budget_release(&b, 1);
    assert_ptr_equal(budget_next(&b), &c[3]);
    budget_release(&b, 1);
    assert_null(budget_next(&b));
    assert_int_equal(b.taken, 0);
}

static void who_leaves_the_line(void **state)
{
    (void)state;
    struct budget b = {.max = 0};
    struct budget_claim c[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_false(budget_take(&b, &c[i]));
    budget_leave(&b, &c[1]);
    budget_leave(&b, &c[1]);
    budget_leave(&b, &c[0]);
    budget_leave(&b, &c[3]);
    b.max = 2;
    assert_ptr_equal(budget_next(&b), &c[2]);
    assert_null(b.first);
    assert_null(b.last);
    assert_true(budget_take(&b, &c[0]));
    assert_false(budget_take(&b, &c[1]));
}

static void adopted_ones_count_past_the_maximum(void **state)
{
    (void)state;
    struct budget b = {.max = 1};
    struct budget_claim c = {0};
    budget_occupy(&b, 1);
    budget_occupy(&b, 1);
    assert_false(budget_take(&b, &c));
    budget_release(&b, 1);
    assert_null(budget_next(&b));
    budget_release(&b, 1);
    assert_ptr_equal(budget_next(&b), &c);
}

static void whoever_needs_more_waits_for_all(void **state)
{
    (void)state;
    struct budget b = {.max = 4};
    struct budget_claim one = {.need = 1}, two = {.need = 2}, three = {.need = 3};
    assert_true(budget_take(&b, &two));
    assert_false(budget_take(&b, &three));
    assert_int_equal(b.taken, 2);
    assert_false(budget_take(&b, &one)); /* there is room, but not before the other's turn */
    assert_null(budget_next(&b));
    budget_release(&b, 2);
    assert_ptr_equal(budget_next(&b), &three);
    assert_ptr_equal(budget_next(&b), &one);
    assert_int_equal(b.taken, 4);
    b.max = 1; /* some were taken out of the machine */
    budget_release(&b, 3);
    assert_false(budget_take(&b, &two));
    budget_release(&b, 9);
    assert_int_equal(b.taken, 0);
}

static void the_least_recently_used_makes_room(void **state)
{
    (void)state;
    assert_int_equal(budget_victim(NULL, 0), -1);
    struct budget_candidate c[] = {{50, false}, {10, true}, {30, false}, {40, false}};
    assert_int_equal(budget_victim(c, 4), 2);
    c[2].asked = true;
    assert_int_equal(budget_victim(c, 4), 3);
    c[0].asked = c[3].asked = true;
    assert_int_equal(budget_victim(c, 4), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_taken_and_given_back),
        cmocka_unit_test(nobody_overtakes),
        cmocka_unit_test(who_leaves_the_line),
        cmocka_unit_test(adopted_ones_count_past_the_maximum),
        cmocka_unit_test(whoever_needs_more_waits_for_all),
        cmocka_unit_test(the_least_recently_used_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
