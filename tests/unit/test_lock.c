/* objects: runner/lock.o job/requirements.o */
#include "tests/unit/unit.h"

#include <errno.h>

#include "job/requirements.h"
#include "runner/lock.h"

#define H "--hash=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define F "#file sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef "
#define C "0123456789abcdef0123456789abcdef01234567"

static void only_the_strictest_form_is_shared(void **state)
{
    static const struct {
        const char *text;
        enum lock_kind kind;
    } cases[] = {
        {"", LOCK_SHARED},
        {"a==1.0 " H "\n", LOCK_SHARED},
        {"a==1.0 " H " " H "\nB.c-d[x,y]==2!1.0rc1.post2+cpu " H "\n", LOCK_SHARED},
        {"--index-url https://host/simple\n--extra-index-url=http://x/\na==1 " H, LOCK_SHARED},
        {"a==1.0 " H "\n" F "https://host/a.whl\n", LOCK_SHARED},
        {"a==1.0 " H "\n" F "https://host/a.whl x\n", LOCK_BOUND},
        {"a==1.0 " H "\n" F "file:///a.whl\n", LOCK_BOUND},
        {"a==1.0 " H "\n#file sha256:0 https://host/a.whl\n", LOCK_BOUND},
        {"a==1.0 " H "\n# word\n", LOCK_BOUND},
        {"a==1.0\n", LOCK_BOUND},
        {"a==1.* " H "\n", LOCK_BOUND},
        {"-a==1 " H "\n", LOCK_BOUND},
        {"_a==1 " H "\n", LOCK_BOUND},
        {"a>=1.0 " H "\n", LOCK_BOUND},
        {"a==1.0 ; python_version>'3' " H "\n", LOCK_BOUND},
        {"a==1.0 --hash=sha256:0123\n", LOCK_BOUND},
        {"a==1.0 --hash=md5:0123456789abcdef0123456789abcdef\n", LOCK_BOUND},
        {"a==1.0 " H " --config-settings=x\n", LOCK_BOUND},
        {"a @ https://host/a.whl " H "\n", LOCK_OWN},
        {"a @ https://host/a.whl\n", LOCK_BOUND},
        {"a @ file:///home/user/app/a.whl " H "\n", LOCK_BOUND},
        {"a @ git+https://host/a@" C "\n", LOCK_OWN},
        {"a @ git+https://host/a@main\n", LOCK_BOUND},
        {"a @ git+ssh://host/a@" C "\n", LOCK_BOUND},
        {"-e .\n", LOCK_BOUND},
        {"-r other.txt\n", LOCK_BOUND},
        {"--find-links /home/user/app\na==1 " H "\n", LOCK_BOUND},
        {"--index-url https://host/ x\na==1 " H "\n", LOCK_BOUND},
        {"./a.whl\n", LOCK_BOUND},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (lock_judge(cases[i].text, strlen(cases[i].text)) != cases[i].kind)
            fail_msg("not %s: %s", lock_kind_name(cases[i].kind), cases[i].text);
    assert_int_equal(lock_judge("a==1.0 " H "\0", sizeof("a==1.0 " H "\0")), LOCK_BOUND);
    assert_int_equal(lock_count("--index-url x\na==1\nb==2\n", 24), 2);
}

static void count(void *arg, const char *path)
{
    (void)path;
    (*(unsigned *)arg)++;
}

static void what_requirements_depend_on_is_seen(void **state)
{
    static const struct {
        const char *text;
        bool bound, pins;
        unsigned includes;
    } cases[] = {
        {"numpy\npandas>=2 # newer\n", false, false, 0},
        {"gradio==4.0\n", false, true, 0},
        {"Gradio [oauth] >= 4\n", false, true, 0},
        {"gradio\ngradio_client==1.0\n", false, false, 0},
        {"gradio @ https://host/gradio.whl\n", false, true, 0},
        {"-r more.txt\n--constraint=c.txt\n-cd.txt\n", false, false, 3},
        {"-r https://host/x.txt\n", true, false, 0},
        {"./local.whl\n", true, false, 0},
        {"folder/x.tar.gz\n", true, false, 0},
        {"x.whl\n", true, false, 0},
        {"x @ file:///home/user/app/x.whl\n", true, false, 0},
        {"-e .\n", true, false, 0},
        {"--find-links wheels\n", true, false, 0},
        {"--find-links https://host/wheels\n", false, false, 0},
        {"git+https://host/x@main\n", false, false, 0},
        {"# -e .\n", false, false, 0},
        {"a\\\n  ==1\n", false, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct requirements q = REQUIREMENTS_INIT;
        unsigned includes = 0;
        char *text = strdup(cases[i].text);
        requirements_scan(text, "gradio", &q, count, &includes);
        if (q.bound != cases[i].bound || q.pins_sdk != cases[i].pins ||
            includes != cases[i].includes)
            fail_msg("bound %d, pins %d, %u included: %s", q.bound, q.pins_sdk, includes,
                     cases[i].text);
        free(text);
        requirements_free(&q);
    }
}

static void included_files_are_read_below_the_folder_alone(void **state)
{
    char path[300];
    struct err err = {0};
    static const struct {
        const char *name, *text;
    } files[] = {{"requirements.txt", "-r req/a.txt\nx\n"},
                 {"req/a.txt", "-c b.txt\n"},
                 {"req/b.txt", "y<2\n"}};
    snprintf(path, sizeof(path), "%s/req", (char *)*state);
    assert_int_equal(mkdir_p(path, 0755, &err), 0);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", (char *)*state, files[i].name);
        assert_int_equal(file_write_whole(path, files[i].text, strlen(files[i].text), 0644, &err),
                         0);
    }
    int dir = open(*state, O_RDONLY | O_DIRECTORY);
    struct requirements q = REQUIREMENTS_INIT;
    assert_int_equal(requirements_read(dir, "", &q, &err), 0);
    assert_true(q.main && !q.pre && !q.bound && q.files == 3);
    assert_non_null(strstr(q.text.data, "y<2"));
    requirements_free(&q);
    snprintf(path, sizeof(path), "%s/req/b.txt", (char *)*state);
    assert_int_equal(file_write_whole(path, "-r ../../etc/passwd\n-r b.txt\n", 29, 0644, &err), 0);
    q = REQUIREMENTS_INIT;
    int n = requirements_read(dir, "", &q, &err);
    assert_true(n == -EFBIG && q.bound); /* it includes itself, and what is outside is not read */
    requirements_free(&q);
    close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_strictest_form_is_shared),
        cmocka_unit_test(what_requirements_depend_on_is_seen),
        cmocka_unit_test_setup_teardown(included_files_are_read_below_the_folder_alone, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
