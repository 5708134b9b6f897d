/* objects: runner/lifecycle.o */
#include "tests/unit/unit.h"

#include "runner/lifecycle.h"

#define PAIRS(s, e)                                                                                \
    for (enum lc_state s = 0; s < LC_STATE_COUNT; s++)                                             \
        for (enum lc_event e = 0; e < LC_EVENT_COUNT; e++)

static bool has_cur(enum lc_state s)
{
    return s == LC_RUNNING || s == LC_SWITCHING || s == LC_REBUILDING;
}

static bool starts(enum lc_state s)
{
    return s == LC_STARTING || s == LC_SWITCHING;
}

static bool rests(enum lc_state s)
{
    return s == LC_SLEEPING || s == LC_FAILED || s == LC_STOPPED || s == LC_PAUSED ||
           s == LC_UNBUILT || s == LC_EMPTY;
}

static bool builds(enum lc_state s)
{
    return s == LC_BUILDING || s == LC_REBUILDING;
}

static void expect(enum lc_state s, enum lc_event e, enum lc_state next, unsigned todo)
{
    struct lc_step step = lifecycle_step(s, e);
    if (step.next != next || step.todo != todo)
        fail_msg("%s in %s: %s 0x%x, not %s 0x%x", lifecycle_event_name(e), lifecycle_state_name(s),
                 lifecycle_state_name(step.next), step.todo, lifecycle_state_name(next), todo);
}

/* A pair that nobody wrote down would read as {EMPTY, 0}: only EMPTY may lead there. */
static void every_pair_is_answered(void **state)
{
    (void)state;
    PAIRS(s, e)
    {
        struct lc_step step = lifecycle_step(s, e);
        assert_in_range(step.next, 0, LC_STATE_COUNT - 1);
        assert_true(step.next != LC_EMPTY || s == LC_EMPTY);
    }
}

static void refusals_change_nothing_and_have_words(void **state)
{
    (void)state;
    PAIRS(s, e)
    {
        struct lc_step step = lifecycle_step(s, e);
        if (!(step.todo & (LC_REFUSE | LC_NEVER)))
            continue;
        assert_int_equal(step.next, s);
        assert_true(step.todo == LC_REFUSE || step.todo == LC_NEVER);
        assert_true(step.todo != LC_REFUSE || e <= EV_DELETE); /* only people are refused */
        assert_true(strlen(lifecycle_refusal(s, e)) > 10);
    }
}

/* The workers that a state needs are there: none is served by nobody, none is left behind. */
static void workers_match_states(void **state)
{
    (void)state;
    PAIRS(s, e)
    {
        struct lc_step t = lifecycle_step(s, e);
        bool ended_cur = t.todo & (LC_END | LC_END_CUR) || e == EV_CRASH || e == EV_CRASH_LAST;
        bool ended_next = t.todo & (LC_END | LC_END_NEXT | LC_PROMOTE) || e == EV_FAIL ||
                          e == EV_FAIL_LAST ||
                          e == EV_BUILD; /* it is not started before it is built */
        if (t.todo & (LC_REFUSE | LC_NEVER))
            continue;
        bool cur = t.todo & LC_PROMOTE || (has_cur(s) && !ended_cur);
        bool next = t.todo & (LC_START | LC_BESIDE) || (starts(s) && !ended_next);
        if (cur != has_cur(t.next) || next != starts(t.next))
            fail_msg("%s in %s leads to %s: serves %d, starts %d", lifecycle_event_name(e),
                     lifecycle_state_name(s), lifecycle_state_name(t.next), cur, next);
    }
}

static void a_visit_never_wakes_what_people_stopped(void **state)
{
    (void)state;
    for (enum lc_state s = 0; s < LC_STATE_COUNT; s++) {
        struct lc_step step = lifecycle_step(s, EV_WAKE);
        if (s == LC_SLEEPING)
            expect(s, EV_WAKE, LC_STARTING, LC_START);
        else
            expect(s, EV_WAKE, s, LC_TELL);
        assert_true(s != LC_SLEEPING || step.todo & LC_START);
        if (!lifecycle_wakes(s))
            assert_int_equal(step.next, s);
    }
}

static void the_ways_of_a_deploy(void **state)
{
    (void)state;
    unsigned take = LC_FORGIVE | LC_END_NEXT | LC_TAKE | LC_START;
    expect(LC_EMPTY, EV_DEPLOY, LC_STARTING, take);
    expect(LC_FAILED, EV_DEPLOY, LC_STARTING, take);
    expect(LC_RUNNING, EV_DEPLOY, LC_SWITCHING, LC_FORGIVE | LC_END_NEXT | LC_BESIDE);
    expect(LC_SWITCHING, EV_READY, LC_RUNNING, LC_PROMOTE);
    expect(LC_SWITCHING, EV_FAIL, LC_RUNNING, LC_END_NEXT);
    expect(LC_SWITCHING, EV_FAIL_LAST, LC_RUNNING, LC_END_NEXT);
    expect(LC_SWITCHING, EV_CRASH, LC_STARTING, LC_TAKE_NEXT);
    expect(LC_SWITCHING, EV_IDLE, LC_STARTING, LC_END_CUR | LC_TAKE_NEXT);
    expect(LC_PAUSED, EV_DEPLOY, LC_PAUSED, LC_TAKE);
    expect(LC_DELETING, EV_DEPLOY, LC_DELETING, LC_REFUSE);
}

static void the_ways_of_a_build(void **state)
{
    (void)state;
    expect(LC_STARTING, EV_BUILD, LC_BUILDING, 0);
    expect(LC_SWITCHING, EV_BUILD, LC_REBUILDING, 0);
    expect(LC_BUILDING, EV_BUILT, LC_STARTING, LC_START);
    expect(LC_REBUILDING, EV_BUILT, LC_SWITCHING, LC_BESIDE);
    expect(LC_BUILDING, EV_BUILD_FAIL, LC_UNBUILT, 0);
    expect(LC_REBUILDING, EV_BUILD_FAIL, LC_RUNNING, LC_END_NEXT);
    expect(LC_REBUILDING, EV_CRASH, LC_BUILDING, LC_TAKE_NEXT);
    expect(LC_BUILDING, EV_CANCEL, LC_UNBUILT, LC_END_NEXT);
    expect(LC_REBUILDING, EV_CANCEL, LC_RUNNING, LC_END_NEXT);
    expect(LC_RUNNING, EV_CANCEL, LC_RUNNING, LC_REFUSE);
    /* a newer version is not kept waiting by an older one's build */
    for (enum lc_state s = 0; s < LC_STATE_COUNT; s++)
        if (builds(s))
            assert_true(lifecycle_step(s, EV_DEPLOY).todo & LC_END_NEXT);
}

static void failures_end(void **state)
{
    (void)state;
    expect(LC_STARTING, EV_FAIL, LC_BACKOFF, LC_PAUSE);
    expect(LC_BACKOFF, EV_RETRY, LC_STARTING, LC_START);
    expect(LC_STARTING, EV_FAIL_LAST, LC_FAILED, 0);
    expect(LC_RUNNING, EV_CRASH, LC_BACKOFF, LC_PAUSE);
    expect(LC_RUNNING, EV_CRASH_LAST, LC_FAILED, 0);
    expect(LC_FAILED, EV_START, LC_STARTING, LC_FORGIVE | LC_START);
}

static void a_shutdown_leaves_what_a_visit_wakes(void **state)
{
    (void)state;
    for (enum lc_state s = 0; s < LC_STATE_COUNT; s++) {
        struct lc_step step = lifecycle_step(s, EV_SHUTDOWN);
        assert_true(rests(step.next) || builds(step.next) || step.next == LC_DELETING);
        if (builds(s)) /* the next runner goes on with it */
            assert_int_equal(step.next, LC_BUILDING);
        else if (has_cur(s) || starts(s) || s == LC_BACKOFF)
            assert_int_equal(step.next, LC_SLEEPING);
        else
            assert_int_equal(step.next, s);
    }
}

static void only_a_deleted_space_is_forgotten(void **state)
{
    (void)state;
    PAIRS(s, e)
    assert_int_equal(!!(lifecycle_step(s, e).todo & LC_FORGET),
                     s == LC_DELETING && e == EV_EMPTIED);
    for (enum lc_state s = 0; s < LC_STATE_COUNT; s++)
        assert_int_equal(lifecycle_step(s, EV_DELETE).next, LC_DELETING);
}

static void stages_are_spelled_and_come_back(void **state)
{
    (void)state;
    for (enum lc_state s = 0; s < LC_STATE_COUNT; s++) {
        enum lc_state back = lifecycle_state_of(lifecycle_stage(s));
        assert_true(back == s || (s == LC_BACKOFF && back == LC_STARTING));
        assert_true(strlen(proto_stage_name(lifecycle_stage(s))) > 5);
    }
    assert_int_equal(lifecycle_state_of(STAGE_CONFIG_ERROR), LC_EMPTY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_is_answered),
        cmocka_unit_test(refusals_change_nothing_and_have_words),
        cmocka_unit_test(workers_match_states),
        cmocka_unit_test(a_visit_never_wakes_what_people_stopped),
        cmocka_unit_test(the_ways_of_a_deploy),
        cmocka_unit_test(the_ways_of_a_build),
        cmocka_unit_test(failures_end),
        cmocka_unit_test(a_shutdown_leaves_what_a_visit_wakes),
        cmocka_unit_test(only_a_deleted_space_is_forgotten),
        cmocka_unit_test(stages_are_spelled_and_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
