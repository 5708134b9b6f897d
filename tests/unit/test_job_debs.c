/* objects: job/debs_list.o
 *
 * packages.txt, and what scripts of packages say in fixed words. */
#include "unit.h"

#include "common/cleanup.h"
#include "job/debs.h"

#include <errno.h>
#include <string.h>

static void test_names(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    assert_int_equal(debs_parse("ffmpeg libgl1\r\n# a comment g++\n\n  g++ # more\nlibx:i386 "
                                "a2=1.0~rc-1\tz3",
                                &out, NULL),
                     0);
    assert_string_equal(out.data, "ffmpeg\nlibgl1\ng++\nlibx:i386\na2=1.0~rc-1\nz3\n");
}

static void test_what_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "-y",      "--force-yes", "FFmpeg", "a",     "a$(id)",   "a/b",
        "ffmpeg-", "/etc/x.deb",  "a2=",    "a2:",   "a2=-1",    "lib*",
        "a2=1;x",  "ffmpeg.",     "^task",  "a2,b2", "\xc3\xa4x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char text[64];
        struct err err = {0};
        _cleanup_buf_ struct buf out = BUF_INIT(4096);
        snprintf(text, sizeof(text), "good\n%s\n", bad[i]);
        if (debs_parse(text, &out, &err) != -EINVAL)
            fail_msg("%s was taken", bad[i]);
        assert_non_null(strstr(err.msg, "packages.txt:2: \""));
    }
}

static void test_alternatives(void **state)
{
    (void)state;
    struct debs_alternative a;
    assert_true(debs_alternative("update-alternatives --quiet --install /usr/bin/vi vi "
                                 "/usr/bin/vim.tiny 15   --slave /x y /z",
                                 &a));
    assert_string_equal(a.link, "/usr/bin/vi");
    assert_string_equal(a.name, "vi");
    assert_string_equal(a.path, "/usr/bin/vim.tiny");
    assert_true(
        debs_alternative("  if update-alternatives --install \"/usr/bin/e\" e '/bin/f' 1", &a));
    assert_string_equal(a.link, "/usr/bin/e");
    static const char *const bad[] = {
        "update-alternatives --remove vi /usr/bin/vim.tiny",
        "# update-alternatives --install /usr/bin/vi vi /usr/bin/v 1",
        "update-alternatives --install /usr/bin/$i $i /usr/bin/v 1",
        "update-alternatives --install /usr/bin/../../x vi /usr/bin/v 1",
        "update-alternatives --install usr/bin/x vi /usr/bin/v 1",
        "update-alternatives --install /usr/bin/x ../vi /usr/bin/v 1",
        "update-alternatives --install /usr/bin/x .. /usr/bin/v 1",
        "update-alternatives --install /usr/bin/x vi",
        "update-alternatives",
        ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (debs_alternative(bad[i], &a))
            fail_msg("%s was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_alternatives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
