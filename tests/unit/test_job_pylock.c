/* objects: job/pylock.o runner/lock.o */
#include "tests/unit/unit.h"

#include "common/cleanup.h"
#include "job/pylock.h"
#include "runner/lock.h"

#define H "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define WHEEL(url) "{ url = \"" url "\", size = 1, hashes = { md5 = \"0\", sha256 = \"" H "\" } }"
#define HEAD "# made by uv\nlock-version = \"1.0\"\nrequires-python = \">=3.11\"\n\n"
#define A "[[packages]]\nname = \"a\"\nversion = \"1.0+x\"\n"
#define A_LINES "a==1.0+x --hash=sha256:" H "\n#file sha256:" H " https://h/a.whl\n"

static void a_file_of_uv_becomes_lines_and_one_again(void **state)
{
    static const char text[] = HEAD A
        "sdist = { url = \"https://h/a.tar.gz\", upload-time = 2026-11-18T11:06:55Z, hashes "
        "= { sha256 = \"" H "\" } }\n"
        "marker = \"x == 'y' and z == \\\"]\\\"\" # why\n"
        "wheels = [" WHEEL(
            "https://h/a.whl") "]\n\n"
                               "[[packages]]\nname = \"b-c\"\nversion = "
                               "\"2\"\nindex = \"http://h/simple\"\n"
                               "wheels = [\n    " WHEEL(
                                   "http://h:80/x%2By/"
                                   "b_c-2.whl") ",\n    " WHEEL("https://h/b_c-2-1.whl") ",\n]\n";
    _cleanup_buf_ struct buf lock = BUF_INIT(8192), toml = BUF_INIT(8192), again = BUF_INIT(8192);
    (void)state;
    assert_int_equal(buf_puts(&lock, "--extra-index-url https://h/\n"), 0);
    assert_true(pylock_read(text, &lock));
    assert_string_equal(lock.data, "--extra-index-url https://h/\n" A_LINES
                                   "b-c==2 --hash=sha256:" H " --hash=sha256:" H "\n"
                                   "#file sha256:" H " http://h:80/x%2By/b_c-2.whl\n"
                                   "#file sha256:" H " https://h/b_c-2-1.whl\n");
    assert_int_equal(lock_judge(lock.data, lock.len), LOCK_SHARED);
    assert_int_equal(lock_count(lock.data, lock.len), 2);
    assert_true(pylock_write(lock.data, &toml));
    assert_true(pylock_read(toml.data, &again));
    assert_string_equal(again.data, strchr(lock.data, '\n') + 1);
}

static void what_lines_do_not_say_is_left_to_others(void **state)
{
    static const char *const texts[] = {
        "",
        HEAD,
        HEAD A, /* from source alone */
        HEAD A "wheels = []\n",
        HEAD A "wheels = [{ url = \"https://h/a.whl\" }]\n", /* no hash */
        HEAD A "wheels = [{ path = \"a.whl\", hashes = { sha256 = \"" H "\" } }]\n",
        HEAD A "wheels = [" WHEEL("file:///a.whl") "]\n",
        HEAD A "wheels = [" WHEEL("https://h/a.whl?signed=1") "]\n",
        HEAD A "wheels = [" WHEEL("https://me:word@h/a.whl") "]\n",
        HEAD A "wheels = [" WHEEL("https://h/a b.whl") "]\n",
        HEAD A "wheels = [" WHEEL("https://h/\\u0061.whl") "]\n",
        HEAD A "wheels = [" WHEEL("https://h/a.whl") "\n",
        HEAD A "wheels = [" WHEEL("https://h/a.whl") "] ]\n",
        HEAD A "vcs = { type = \"git\" }\nwheels = [" WHEEL("https://h/a.whl") "]\n",
        HEAD A "archive = { url = \"https://h/a.zip\" }\n",
        HEAD A "directory = { path = \".\" }\n",
        HEAD
        "[[packages]]\nname = \"a b\"\nversion = \"1\"\nwheels = [" WHEEL("https://h/a.whl") "]\n",
        HEAD "[[packages]]\nname = \"-e\"\nversion = \"1\"\nwheels = [" WHEEL(
            "https://h/a.whl") "]\n", /* its line would be an option */
        HEAD "[[packages]]\nname = \"a\"\nwheels = [" WHEEL("https://h/a.whl") "]\n",
        HEAD A "wheels = [" WHEEL("https://h/a.whl") "]\n[tool.x]\ny = 1\n",
        HEAD A "sdist = [[[[[[[[[[[[]]]]]]]]]]]]\nwheels = [" WHEEL("https://h/a.whl") "]\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        _cleanup_buf_ struct buf lock = BUF_INIT(8192);
        if (pylock_read(texts[i], &lock) || lock.len)
            fail_msg("taken: %s", texts[i]);
    }
}

static void only_lines_with_files_become_one(void **state)
{
    static const char *const locks[] = {
        "",
        "--index-url https://h/\n",
        "a==1.0 --hash=sha256:" H "\n",
        A_LINES "b==1.0 --hash=sha256:" H "\n",
        "b==1.0 --hash=sha256:" H "\n" A_LINES,
        "#file sha256:" H " https://h/a.whl\n",
        "a==1.0 --hash=sha256:" H "\n#file sha256:" H " https://h/a.whl more\n",
        "a==1.0 --hash=sha256:" H "\n#file sha256:" H "0 https://h/a.whl\n",
        "a==1.0 --hash=sha256:" H "\n#file sha256:0 https://h/a.whl\n",
        "a==1.0 --hash=sha256:" H "\n# a word\n",
        "a @ https://h/a.whl --hash=sha256:" H "\n#file sha256:" H " https://h/a.whl\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(locks) / sizeof(*locks); i++) {
        _cleanup_buf_ struct buf toml = BUF_INIT(8192);
        if (pylock_write(locks[i], &toml))
            fail_msg("taken: %s", locks[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_uv_becomes_lines_and_one_again),
        cmocka_unit_test(what_lines_do_not_say_is_left_to_others),
        cmocka_unit_test(only_lines_with_files_become_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
