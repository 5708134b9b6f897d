/* objects: sandbox/cgroup_limits.o sandbox/cgroup.o sandbox/cgroup_host.o sandbox/cgroup_places.o
 * sandbox/service_cpus.o
 * Limits are read back: what the kernel did not take is named. Plain files stand in for its. */
#include "sandbox/cgroup_places.h"
#include "sandbox/service.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* An earlier starter may have had this pid, and its workers live on. */
static void no_group_is_made_twice(void **state)
{
    char name[40];
    struct cgroup_group a, b;
    struct err err = {0};
    make(*state, "", "", "");
    host.serial = 0;
    snprintf(name, sizeof(name), "g%d-0", getpid());
    assert_int_equal(mkdirat(host.fd[CGROUP_UNIFIED], name, 0700), 0);
    assert_int_equal(cgroup_create(&host, &a, &err), 0);
    assert_int_equal(cgroup_create(&host, &b, &err), 0);
    assert_string_not_equal(a.name, name);
    assert_string_not_equal(a.name, b.name);
    close(host.fd[CGROUP_UNIFIED]);
}

/* A kernel without cgroup.kill: the list is read into a buffer, whose end may be inside of a
 * number. */
static void no_number_is_killed_that_was_cut_off(void **state)
{
    static char list[16384 + 64];
    pid_t bystander = fork();
    if (bystander == 0) {
        for (;;)
            pause();
    }
    char number[16];
    size_t digits = (size_t)snprintf(number, sizeof(number), "%d", bystander), len = 0;
    make(*state, "", "", "");
    for (int i = 0; i < CGROUP_HIERARCHIES; i++)
        host.v2[i] = false;
    host.fd[CGROUP_MEMORY] = host.fd[CGROUP_UNIFIED];
    host.fd[CGROUP_UNIFIED] = -1;
    while (len < 16383 - digits - 20) /* beyond all pids */
        len += (size_t)snprintf(list + len, sizeof(list) - len, "9999999\n");
    memset(list + len, '9', 16383 - digits - len);
    len = 16383 - digits;
    list[len - 1] = '\n';
    snprintf(list + len, sizeof(list) - len, "%s5\n", number);
    put(*state, "cgroup.procs", list);
    cgroup_kill(&host, &group);
    int status = 0;
    assert_int_equal(kill(bystander, SIGTERM), 0); /* whichever came first */
    assert_int_equal(waitpid(bystander, &status, 0), bystander);
    assert_int_equal(WTERMSIG(status), SIGTERM);
    close(host.fd[CGROUP_MEMORY]);
    host.fd[CGROUP_MEMORY] = -1;
}

/* v1 counts what connections buffer by itself, and only where it has a limit. */
static void v1_limits_what_connections_buffer(void **state)
{
    char unconfirmed[64], path[512], text[64] = "";
    struct cgroup_limits some = {.memory_bytes = 1 << 20, .connections_bytes = 1 << 18};
    struct err err = {0};
    make(*state, "", "", "");
    host.v2[CGROUP_MEMORY] = false;
    host.fd[CGROUP_MEMORY] = host.fd[CGROUP_UNIFIED];
    put(*state, "memory.limit_in_bytes", "");
    put(*state, "memory.kmem.tcp.limit_in_bytes", "");
    assert_int_equal(cgroup_set_limits(&host, &group, &some, unconfirmed, &err), 0);
    assert_string_equal(unconfirmed, "");
    snprintf(path, sizeof(path), "%s/g/memory.kmem.tcp.limit_in_bytes", (char *)*state);
    assert_true(file_read_small(path, text, sizeof(text)) > 0);
    assert_string_equal(text, "262144");
    put(*state, "memory.kmem.tcp.limit_in_bytes", "99999999999");
    assert_int_equal(cgroup_set_limits(&host, &group, &some, unconfirmed, &err), 0);
    assert_string_equal(unconfirmed, "memory of connections");
    close(host.fd[CGROUP_MEMORY]);
    host.fd[CGROUP_MEMORY] = -1;
}

/* What a container or a service has of the CPUs: the least of all groups from its own up to the
 * topmost that it sees. */
static void quotas_of_cpus(void **state)
{
    static struct cgroup_places p;
    static const struct {
        enum cgroup_kind kind;
        const char *top, *outer, *own;
        unsigned cpus;
    } cases[] = {
        {CGROUP_UNIFIED, NULL, NULL, "max 100000\n", 0},
        {CGROUP_UNIFIED, NULL, "max 100000\n", "150000 100000\n", 2},
        {CGROUP_UNIFIED, NULL, "50000 100000\n", "max 100000\n", 1},
        {CGROUP_UNIFIED, "max 100000\n", "400000 100000\n", "25000 10000\n", 3},
        {CGROUP_UNIFIED, "200000 100000\n", NULL, "300000 100000\n", 2},
        {CGROUP_UNIFIED, NULL, "no number\n", "100 0\n", 0},
        {CGROUP_CPU, NULL, "-1\n", "-1\n", 0},
        {CGROUP_CPU, NULL, "-1\n", "350000\n", 4},
        {CGROUP_CPU, NULL, "100000\n", "350000\n", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        enum cgroup_kind kind = cases[i].kind;
        const char *name = kind == CGROUP_UNIFIED ? "cpu.max" : "cpu.cfs_quota_us";
        const char *texts[] = {cases[i].top, cases[i].outer, cases[i].own};
        const char *groups[] = {".", "outer", "outer/own"};
        for (int k = 0; k < 3; k++) {
            char path[64];
            (void)mkdir(in_folder(state, groups[k]), 0700);
            snprintf(path, sizeof(path), "%s/%s", groups[k], name);
            (void)unlink(in_folder(state, path));
            if (texts[k])
                put_file(in_folder(state, path), texts[k]);
            snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", groups[k]);
            put_file(in_folder(state, path), "100000\n");
        }
        memset(&p, 0, sizeof(p));
        snprintf(p.point[kind], sizeof(p.point[kind]), "%s", (const char *)*state);
        snprintf(p.root[kind], PATH_MAX, "/");
        snprintf(p.own[kind], PATH_MAX, "/outer/own");
        assert_int_equal(cgroup_places_cpus(&p), cases[i].cpus);
        /* a container that sees its own group as the topmost one, by the host's name */
        snprintf(p.point[kind], sizeof(p.point[kind]), "%s/outer", (const char *)*state);
        snprintf(p.root[kind], PATH_MAX, "/host/outer");
        snprintf(p.own[kind], PATH_MAX, "/host/outer/own");
        if (!cases[i].top)
            assert_int_equal(cgroup_places_cpus(&p), cases[i].cpus);
    }
    memset(&p, 0, sizeof(p)); /* no control groups at all */
    assert_int_equal(cgroup_places_cpus(&p), 0);
}

static void cpus_by_affinity(void **state)
{
    cpu_set_t before, one;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(service_cpus(8), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    assert_in_range(service_cpus(8), 1, CPU_COUNT(&before));
    assert_int_equal(service_cpus(1), 1);
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
        cmocka_unit_test_setup_teardown(no_group_is_made_twice, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(no_number_is_killed_that_was_cut_off, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(v1_limits_what_connections_buffer, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(quotas_of_cpus, make_folder, remove_folder),
        cmocka_unit_test(cpus_by_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
