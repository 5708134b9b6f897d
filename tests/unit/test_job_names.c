/* objects: job/names.o */
#include "tests/unit/unit.h"

#include <errno.h>

#include "job/names.h"

static void takes_ordinary_paths(void **state)
{
    static const char *const cases[][2] = {
        {"app.py", "app.py"},
        {"./app.py", "app.py"},
        {"./", ""},
        {".", ""},
        {"a//b///c", "a/b/c"},
        {"a/./b/.", "a/b"},
        {"folder/", "folder"},
        {"...", "..."},
        {"..a/b..", "..a/b.."},
        {"C:/x", "C:/x"},
        {"Größe 字 🎉.txt", "Größe 字 🎉.txt"},
        {" ", " "},
    };
    char out[NAMES_PATH_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err err = {0};

        assert_int_equal(names_clean(cases[i][0], out, &err), 0);
        assert_string_equal(out, cases[i][1]);
    }
}

static void refuses_what_is_no_path_of_a_bundle(void **state)
{
    static const char *const cases[][2] = {
        {"", "no name"},        {"/etc/passwd", "absolute"}, {"//x", "absolute"},
        {"..", "\"..\""},       {"../x", "\"..\""},          {"a/../b", "\"..\""},
        {"a/..", "\"..\""},     {"./../x", "\"..\""},        {"a\\b", "\"\\\""},
        {"..\\x", "\"\\\""},    {"a\nb", "control"},         {"a\tb", "control"},
        {"\x7f", "control"},    {"a\xc2\x85z", "control"},   {"\xff", "UTF-8"},
        {"a\xc0\xaf", "UTF-8"}, {"\xed\xa0\x80", "UTF-8"},
    };
    char out[NAMES_PATH_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err err = {0};

        assert_int_equal(names_clean(cases[i][0], out, &err), -EINVAL);
        assert_non_null(strstr(err.msg, cases[i][1]));
        assert_null(strchr(err.msg, '\n'));
    }
}

/* A path of `depth` components of `len` bytes each. */
static const char *long_path(size_t len, size_t depth)
{
    static char path[8192];
    char *p = path;

    for (size_t i = 0; i < depth; i++) {
        memset(p, 'x', len);
        p[len] = '/';
        p += len + 1;
    }
    p[-1] = '\0';
    return path;
}

static void limits_are_where_they_are_said_to_be(void **state)
{
    char out[NAMES_PATH_MAX + 1];
    struct err err = {0};

    (void)state;
    assert_int_equal(names_clean(long_path(255, 1), out, NULL), 0);
    assert_int_equal(names_clean(long_path(256, 1), out, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "255"));
    assert_int_equal(names_clean(long_path(1, 64), out, NULL), 0);
    assert_int_equal(names_clean(long_path(1, 65), out, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "64 folders"));
    assert_int_equal(names_clean(long_path(204, 5), out, NULL), 0); /* 5 * 205 - 1 = 1024 */
    assert_int_equal(strlen(out), NAMES_PATH_MAX);
    assert_int_equal(names_clean(long_path(205, 5), out, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "1024"));
}

static void knows_litter(void **state)
{
    static const char *const litter[] = {"__MACOSX",    "__MACOSX/a/b", "x/.DS_Store", ".git",
                                         ".git/config", "x/.GIT/y",     "._app.py"};
    static const char *const kept[] = {"app.py", ".gitignore", ".gitattributes", "x/_MACOSX",
                                       ".env",   "._",         "__MACOSX2",      ".DS_Store2"};

    (void)state;
    for (size_t i = 0; i < sizeof(litter) / sizeof(*litter); i++)
        assert_true(names_is_litter(litter[i]));
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        assert_false(names_is_litter(kept[i]));
}

static void quotes_for_people(void **state)
{
    char out[NAMES_QUOTED_MAX], big[1000];

    (void)state;
    assert_string_equal(names_quote("a b", out), "\"a b\"");
    assert_string_equal(names_quote("a\n\x1b[31m", out), "\"a\\x0a\\x1b[31m\"");
    assert_string_equal(names_quote("\xff\xc2\x9b", out), "\"\\xff\\xc2\\x9b\"");
    assert_string_equal(names_quote("字", out), "\"字\"");
    for (size_t n = 100; n < sizeof(big); n++) {
        static const char *const fills[] = {"\x01", "x", "🎉"};

        for (size_t f = 0; f < 3; f++) {
            size_t len = strlen(fills[f]), at = 0;

            while (at + len <= n - 1) {
                memcpy(big + at, fills[f], len);
                at += len;
            }
            big[at] = '\0';
            names_quote(big, out);
            assert_true(strlen(out) < NAMES_QUOTED_MAX);
            assert_int_equal(out[strlen(out) - 1], '"');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_ordinary_paths),
        cmocka_unit_test(refuses_what_is_no_path_of_a_bundle),
        cmocka_unit_test(limits_are_where_they_are_said_to_be),
        cmocka_unit_test(knows_litter),
        cmocka_unit_test(quotes_for_people),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
