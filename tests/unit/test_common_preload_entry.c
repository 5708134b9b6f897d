/* Entries of preload_from_hub, and [build] hub. */
#include "common/hub_url.h"
#include "common/preload_entry.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void the_three_forms(void **state)
{
    (void)state;
    struct preload_entry e;
    struct err err = {0};
    assert_int_equal(preload_entry_parse("coqui/XTTS-v1", &e, &err), 0);
    assert_true(e.all && e.n_files == 0);
    assert_string_equal(e.repo, "coqui/XTTS-v1");
    assert_string_equal(e.revision, "main");
    assert_int_equal(preload_entry_parse(" warp-ai/prior  enc/model.bin,b.bin ", &e, &err), 0);
    assert_false(e.all);
    assert_int_equal(e.n_files, 2);
    assert_string_equal(e.files, "enc/model.bin");
    assert_string_equal(e.files + strlen(e.files) + 1, "b.bin");
    assert_int_equal(preload_entry_parse("gpt2 config.json refs/pr/1", &e, &err), 0);
    assert_string_equal(e.repo, "gpt2");
    assert_string_equal(e.revision, "refs/pr/1");
}

static void what_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "empty"},
        {"  ", "empty"},
        {"a/b/c", "no repository"},
        {"../b", "no repository"},
        {"a/b,c/d", "no repository"},
        {"https://huggingface.co/a/b", "no repository"},
        {"a/b x,", "list of files"},
        {"a/b ../x", "list of files"},
        {"a/b /x", "list of files"},
        {"a/b x/./y", "list of files"},
        {"a/b x\\y", "list of files"},
        {"a/b x ../y", "revision"},
        {"a/b x main y", "more than"},
        {"a/b x, y", "list of files"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct preload_entry e;
        struct err err = {0};
        if (preload_entry_parse(bad[i].text, &e, &err) != -EINVAL || !strstr(err.msg, bad[i].says))
            fail_msg("\"%s\": %s", bad[i].text, err.msg);
    }
}

static void names_in_a_cache(void **state)
{
    (void)state;
    assert_true(preload_folder_ok("models--a--b"));
    assert_false(preload_folder_ok("models--"));
    assert_false(preload_folder_ok("models--a/b"));
    assert_false(preload_folder_ok("datasets--a--b"));
    assert_true(preload_word_ok("0123abc"));
    assert_false(preload_word_ok(".."));
    assert_false(preload_word_ok("a b"));
    assert_false(preload_word_ok(""));
}

static void the_url(void **state)
{
    (void)state;
    struct hub_url u;
    struct err err = {0};
    assert_int_equal(hub_url_parse("https://huggingface.co", &u, &err), 0);
    assert_true(u.secure && u.port == 443 && u.path_len == 0);
    assert_string_equal(u.host, "huggingface.co");
    assert_int_equal(hub_url_parse("http://127.0.0.1:8081/api/hf/", &u, &err), 0);
    assert_true(!u.secure && u.port == 8081 && u.path_len == 7);
    static const char *const bad[] = {"",           "huggingface.co", "ftp://x",
                                      "https://",   "https://a@b",    "https://x/?y",
                                      "http://*.x", "http://a,b",     "http://x:99999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (hub_url_parse(bad[i], &u, &err) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_forms),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(names_in_a_cache),
        cmocka_unit_test(the_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
