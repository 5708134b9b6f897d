/* objects: sandbox/cgroup_limits.o sandbox/cgroup.o sandbox/cgroup_host.o
 * Limits are read back: what the kernel did not take is named. Plain files stand in for its. */
#include "sandbox/cgroup.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct cgroup_host host;
static const struct cgroup_group group = {"g"};

static void put(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/g/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* v2, as a folder of files with that in them */
static void make(const char *dir, const char *memory, const char *swap, const char *weight)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/g", dir);
    (void)mkdir(path, 0700);
    put(dir, "memory.max", memory);
    if (swap)
        put(dir, "memory.swap.max", swap);
    put(dir, "pids.max", "");
    put(dir, "cpu.max", "");
    if (weight)
        put(dir, "io.weight", weight);
    for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
        host.fd[i] = host.base_fd[i] = -1;
        host.v2[i] = true;
    }
    host.fd[CGROUP_UNIFIED] = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(host.fd[CGROUP_UNIFIED] >= 0);
}

static const struct cgroup_limits limits = {
    .memory_bytes = 1 << 20, .cpu_milli = 500, .pids = 20, .io_weight = 250};

static int set(char unconfirmed[64], struct err *err)
{
    int r = cgroup_set_limits(&host, &group, &limits, unconfirmed, err);
    close(host.fd[CGROUP_UNIFIED]);
    return r;
}

static void what_is_shown_as_set_is_confirmed(void **state)
{
    char unconfirmed[64] = "x";
    make(*state, "", "", "");
    assert_int_equal(set(unconfirmed, NULL), 0);
    assert_string_equal(unconfirmed, "");
}

/* A longer text that was there stays behind what is written over it. */
static void what_is_shown_otherwise_is_named(void **state)
{
    char unconfirmed[64];
    make(*state, "99999999999", "77", "default 100");
    assert_int_equal(set(unconfirmed, NULL), 0);
    assert_string_equal(unconfirmed, "memory, swap, io weight");
}

static void a_kernel_without_swap_accounting_is_no_doubt(void **state)
{
    char unconfirmed[64];
    make(*state, "", NULL, NULL);
    assert_int_equal(set(unconfirmed, NULL), 0);
    assert_string_equal(unconfirmed, "io weight");
}

static void a_file_that_is_missing_is_an_error(void **state)
{
    char unconfirmed[64], path[512];
    struct err err = {0};
    make(*state, "", "", "");
    snprintf(path, sizeof(path), "%s/g/pids.max", (char *)*state);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(set(unconfirmed, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "pids.max"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_shown_as_set_is_confirmed, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_is_shown_otherwise_is_named, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_kernel_without_swap_accounting_is_no_doubt, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_file_that_is_missing_is_an_error, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
