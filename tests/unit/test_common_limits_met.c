/* objects: runner/worker_end.o runner/public.o sandbox/init_met.o
 * What a program ran into: the same words wherever they are read. */
#include "common/limits_met.h"
#include "runner/public.h"
#include "runner/worker_end.h"
#include "sandbox/init_met.h"
#include "unit.h"

#include <signal.h>

static struct space_limits limits_of_test(void)
{
    struct space_limits l = {{0}};
    l.v[LIMIT_MEMORY] = 64 << 20;
    l.v[LIMIT_CPU] = 500;
    l.v[LIMIT_PIDS] = 40;
    l.v[LIMIT_OPEN_FILES] = 64;
    l.v[LIMIT_FILE_SIZE] = 1 << 20;
    l.v[LIMIT_TMP_SIZE] = 8 << 20;
    l.v[LIMIT_TMP_INODES] = 100;
    return l;
}

static void names_and_bits(void **state)
{
    (void)state;
    char text[400];
    uint32_t met = LIMIT_BIT(LIMIT_TMP_SIZE) | LIMIT_BIT(LIMIT_OPEN_FILES);
    limits_met_names(met, text, sizeof(text));
    assert_string_equal(text, "open_files,tmp_size");
    assert_int_equal(limits_met_of_names(text), met);
    assert_int_equal(limits_met_of_names("tmp_siz,open_files,x"), LIMIT_BIT(LIMIT_OPEN_FILES));
    assert_int_equal(limits_met_of_names(""), 0);
    limits_met_names(0, text, sizeof(text));
    assert_string_equal(text, "");
}

static void every_limit_has_words(void **state)
{
    (void)state;
    struct space_limits l = limits_of_test();
    char text[400];
    limits_met_text(~0u, &l, text, sizeof(text));
    assert_non_null(strstr(text,
                           "out of memory: 64 MiB; held back by its CPU limit: 0.5 cores; out "
                           "of processes: 40; too many open files: 64 in a process"));
    assert_non_null(strstr(text, "/tmp is full: 8 MiB; /tmp is full: 100 files and folders"));
    char small[20];
    limits_met_text(~0u, &l, small, sizeof(small));
    assert_int_equal(strlen(small), 19);
}

static void a_groups_numbers(void **state)
{
    (void)state;
    assert_int_equal(limits_met_of_group(0, 0, 40, 40), 0); /* 4 s are no time */
    assert_int_equal(limits_met_of_group(0, 0, 1000, 200), 0);
    assert_int_equal(limits_met_of_group(1, 2, 60, 15),
                     LIMIT_BIT(LIMIT_MEMORY) | LIMIT_BIT(LIMIT_PIDS) | LIMIT_BIT(LIMIT_CPU));
    assert_int_equal(limits_met_of_end(0, SIGXFSZ), LIMIT_BIT(LIMIT_FILE_SIZE));
    assert_int_equal(limits_met_of_end(128 + SIGXFSZ, 0), LIMIT_BIT(LIMIT_FILE_SIZE));
    assert_int_equal(limits_met_of_end(1, 0), 0);
}

static const char *end_of(struct worker_end end)
{
    static char text[512];
    struct space_limits l = limits_of_test();
    worker_end_text(&l, &end, text, sizeof(text));
    return text;
}

#define MORE "ask the operator for more (vitrine limits)"

static void ends_in_words(void **state)
{
    (void)state;
    const uint32_t memory = LIMIT_BIT(LIMIT_MEMORY), tmp = LIMIT_BIT(LIMIT_TMP_SIZE);
    assert_string_equal(end_of((struct worker_end){.reason = EXIT_EXITED, .status = 3}),
                        "exited with status 3");
    assert_string_equal(end_of((struct worker_end){.met = memory}),
                        "out of memory: 64 MiB; load less, or " MORE);
    assert_string_equal(
        end_of((struct worker_end){.reason = EXIT_EXITED, .status = 1, .met = memory | tmp}),
        "exited with status 1 (out of memory: 64 MiB; load less, or " MORE
        ") (ran into: /tmp is full: 8 MiB)");
    assert_string_equal(end_of((struct worker_end){.reason = EXIT_EXITED, .status = 1, .met = tmp}),
                        "exited with status 1 (ran into: /tmp is full: 8 MiB; use less, or " MORE
                        ")");
    assert_string_equal(end_of((struct worker_end){.reason = EXIT_STOPPED, .met = tmp}),
                        "stopped (ran into: /tmp is full: 8 MiB)");
    assert_string_equal(end_of((struct worker_end){.reason = EXIT_SIGNALED,
                                                   .signal = SIGXFSZ,
                                                   .met = LIMIT_BIT(LIMIT_FILE_SIZE)}),
                        "a file grew beyond the limit: 1 MiB; write smaller ones, or " MORE);
}

static void everybody_may_read_them(void **state)
{
    (void)state;
    const char *words =
        end_of((struct worker_end){.reason = EXIT_EXITED, .status = 1, .met = ~0u & ~1u});
    assert_string_equal(public_reason(0, words), words);
    assert_non_null(strstr(words, "/tmp is full: 8 MiB"));
    assert_null(strstr(public_reason(0, "cannot make /srv/data /tmp "), "/"));
    assert_null(strstr(public_reason(0, "cannot make x/tmp /tmp is full"), "/"));
}

static void the_exit_file(void **state)
{
    const char *path = in_folder(state, "exit");
    struct worker_end end = {.met = LIMIT_BIT(LIMIT_MEMORY)};
    put_file(path, "exited 1 0 tmp_size,log_rate\n");
    worker_end_read(path, &end);
    assert_int_equal(end.reason, EXIT_EXITED);
    assert_int_equal(end.status, 1);
    assert_int_equal(end.met, LIMIT_BIT(LIMIT_MEMORY) | LIMIT_BIT(LIMIT_TMP_SIZE) |
                                  LIMIT_BIT(LIMIT_LOG_RATE));
    end = (struct worker_end){0};
    put_file(path, "signaled 0 9\n");
    worker_end_read(path, &end);
    assert_int_equal(end.signal, 9);
    assert_int_equal(end.met, 0);
}

static bool heard(const char *a, const char *b)
{
    struct init_met m = {.limits = limits_of_test()};
    init_met_output(&m, a, strlen(a));
    if (*b)
        init_met_output(&m, b, strlen(b));
    return m.met & LIMIT_BIT(LIMIT_OPEN_FILES);
}

static void output_that_names_a_limit(void **state)
{
    (void)state;
    assert_true(heard("OSError: [Errno 24] Too many open files: '/dev/null'\n", ""));
    assert_true(heard("open x: too many open files", ""));
    assert_true(heard("x Too many op", "en files\n"));
    assert_false(heard("Too many open files in system\n", ""));
    assert_false(heard("Too many open windows\n", "files\n"));
    assert_true(heard("Too many open files in system, and too many open files\n", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_bits),
        cmocka_unit_test(every_limit_has_words),
        cmocka_unit_test(a_groups_numbers),
        cmocka_unit_test(ends_in_words),
        cmocka_unit_test(everybody_may_read_them),
        cmocka_unit_test_setup_teardown(the_exit_file, make_folder, remove_folder),
        cmocka_unit_test(output_that_names_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
