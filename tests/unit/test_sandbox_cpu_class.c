/* objects: sandbox/cpu_class.o sandbox/cgroup.o sandbox/cgroup_host.o sandbox/cgroup_places.o
 *
 * Who is a hog: the credit of CPU time. What follows from it is in tests/sandbox/test_cpu_class.py.
 */
#include "unit.h"

#include "sandbox/cpu_class.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether it is a batch group after `rounds` of 50 ms in each of which so much was used. */
static bool after(struct cpu_class *g, int rounds, uint64_t used_us)
{
    for (int i = 0; i < rounds; i++) {
        bool batch = cpu_class_judge(g, g->looked_us + 50000, g->used_us + used_us);
        g->changed_us = batch == g->batch ? g->changed_us : g->looked_us;
        g->batch = batch;
    }
    return g->batch;
}

static void test_calm_from_the_start(void **state)
{
    (void)state;
    struct cpu_class g = {.batch = true};
    assert_true(after(&g, 1, 1000));
    assert_false(after(&g, 10, 5000)); /* a tenth of a CPU */
}

static void test_a_hog_from_the_start(void **state)
{
    (void)state;
    struct cpu_class g = {.batch = true};
    assert_true(after(&g, 1000, 50000));
    assert_true(after(&g, 1000, 13000)); /* a little more than its share */
    assert_int_equal(g.lapses, 0);
}

static void test_a_short_request_is_no_hog(void **state)
{
    (void)state;
    struct cpu_class g = {.batch = true};
    assert_false(after(&g, 20, 0));
    assert_false(after(&g, 1, 80000));
    assert_false(after(&g, 20, 0));
    assert_true(after(&g, 4, 50000));
}

static void test_neither_credit_nor_debt_is_kept_for_long(void **state)
{
    (void)state;
    struct cpu_class g = {.batch = true};
    assert_true(after(&g, 100000, 200000)); /* four CPUs for more than an hour */
    assert_false(after(&g, 12, 0));         /* and calm for 0.6 s */
    assert_false(after(&g, 100000, 0));
    assert_true(after(&g, 3, 50000));
}

/* One of many gets a twentieth of a CPU while it is a batch one, and all of it once it is not. */
static void test_a_hog_among_hogs_is_seldom_taken_for_calm(void **state)
{
    (void)state;
    struct cpu_class g = {.batch = true};
    int first = 0;
    for (int i = 0; i < 20 * 20; i++)
        first += !after(&g, 1, g.batch ? 2500 : 50000);
    assert_in_range(first, 1, 30);
    assert_int_equal(g.lapses, 6);
    int later = 0;
    for (int i = 0; i < 20 * 60; i++)
        later += !after(&g, 1, g.batch ? 2500 : 50000);
    assert_in_range(later, 1, 40); /* of a minute's 1200 rounds */
}

static void test_lapses_are_forgiven(void **state)
{
    (void)state;
    struct cpu_class g = {.batch = true, .lapses = 6};
    assert_true(after(&g, 20 * 6, 0));
    assert_false(after(&g, 20, 0));
    assert_false(after(&g, 20 * 11, 0));
    assert_true(after(&g, 3, 50000));
    assert_int_equal(g.lapses, 1);
    assert_false(after(&g, 12, 0));
}

static void test_the_calm_keep_apart_while_they_need_little(void **state)
{
    (void)state;
    assert_true(cpu_class_left_fits(false, 0, 200000, 1));
    assert_true(cpu_class_left_fits(false, 100000, 200000, 1));
    assert_false(cpu_class_left_fits(false, 120000, 200000, 1));
    assert_true(cpu_class_left_fits(true, 120000, 200000, 1)); /* not to and fro */
    assert_false(cpu_class_left_fits(true, 160000, 200000, 1));
    assert_true(cpu_class_left_fits(false, 160000, 200000, 2));
}

static cpu_set_t affinity_of(pid_t pid)
{
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(pid, sizeof(set), &set), 0);
    return set;
}

static void test_a_stranger_gets_its_cpus_back(void **state)
{
    (void)state;
    cpu_set_t all = affinity_of(0), one, now;
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (CPU_EQUAL(&one, &all))
        skip();
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(sched_setaffinity(pid, sizeof(one), &one), 0);
    cpu_class_give_back(pid, &all, &all, "vitrine-of-nobody"); /* has something else of its own */
    now = affinity_of(pid);
    assert_true(CPU_EQUAL(&now, &one));
    cpu_class_give_back(pid, &one, &all, "/"); /* one of the groups that are meant */
    now = affinity_of(pid);
    assert_true(CPU_EQUAL(&now, &one));
    cpu_class_give_back(pid, &one, &all, "vitrine-of-nobody");
    now = affinity_of(pid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(CPU_EQUAL(&now, &all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calm_from_the_start),
        cmocka_unit_test(test_a_hog_from_the_start),
        cmocka_unit_test(test_a_short_request_is_no_hog),
        cmocka_unit_test(test_neither_credit_nor_debt_is_kept_for_long),
        cmocka_unit_test(test_a_hog_among_hogs_is_seldom_taken_for_calm),
        cmocka_unit_test(test_lapses_are_forgiven),
        cmocka_unit_test(test_the_calm_keep_apart_while_they_need_little),
        cmocka_unit_test(test_a_stranger_gets_its_cpus_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
