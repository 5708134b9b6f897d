/* The server's keys, and secrets that are sealed to them. */
#include "common/keys.h"
#include "common/sealed.h"
#include "common/space_env.h"
#include "unit.h"

#include <errno.h>
#include <sys/stat.h>

static void keys_are_made_once(void **state)
{
    const char *data = *state;
    unsigned char key[KEYS_BOX], again[KEYS_BOX], half[KEYS_BOX], visit[KEYS_VISIT_KEY];
    struct err err = {0};
    struct stat st;
    assert_int_equal(keys_make(data, &err), 0);
    assert_int_equal(keys_read(data, "box.key", key, sizeof key, &err), 0);
    assert_int_equal(keys_read(data, "visit.key", visit, sizeof visit, &err), 0);
    assert_int_equal(stat(in_folder(state, "keys/box.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(in_folder(state, "keys"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    put_file(in_folder(state, "keys/box.pub"), "00\n"); /* a half that is not the key's */
    assert_int_equal(keys_make(data, &err), 0);
    assert_int_equal(keys_read(data, "box.key", again, sizeof again, &err), 0);
    assert_memory_equal(key, again, sizeof key);
    assert_int_equal(keys_read(data, "box.pub", half, sizeof half, &err), 0);
    put_file(in_folder(state, "keys/box.key"),
             "no key\n"); /* never replaced: it opens what is kept */
    assert_int_equal(keys_make(data, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "box.key does not hold a key"));
    assert_int_equal(unlink(in_folder(state, "keys/box.key")), 0);
}

static void opens_where_it_belongs(void **state)
{
    unsigned char pub[KEYS_BOX], key[KEYS_BOX], other[KEYS_BOX];
    struct err err = {0};
    char *sealed, *value = NULL;
    assert_int_equal(keys_make(*state, &err), 0);
    assert_int_equal(keys_read(*state, "box.pub", pub, sizeof pub, &err), 0);
    assert_int_equal(keys_read(*state, "box.key", key, sizeof key, &err), 0);
    assert_int_equal(sealed_make(pub, 7, "TOKEN", "a value\nof two lines", &sealed, &err), 0);
    assert_null(strstr(sealed, "value"));
    assert_int_equal(sealed_value_len("TOKEN", sealed), 20);
    assert_int_equal(sealed_open(pub, key, 7, "TOKEN", sealed, &value, &err), 0);
    assert_string_equal(value, "a value\nof two lines");
    sealed_forget(value);
    value = NULL;
    assert_int_equal(sealed_open(pub, key, 8, "TOKEN", sealed, &value, &err), -EBADMSG);
    assert_int_equal(sealed_open(pub, key, 7, "TOKE", sealed, &value, &err), -EBADMSG);
    assert_int_equal(sealed_open(pub, key, 7, "TOKENS", sealed, &value, &err), -EBADMSG);
    memcpy(other, key, sizeof other);
    other[3] ^= 1;
    assert_int_equal(sealed_open(pub, other, 7, "TOKEN", sealed, &value, &err), -EBADMSG);
    sealed[strlen(sealed) / 2] ^= 1;
    assert_int_equal(sealed_open(pub, key, 7, "TOKEN", sealed, &value, &err), -EBADMSG);
    assert_int_equal(sealed_open(pub, key, 7, "TOKEN", "", &value, &err), -EBADMSG);
    assert_int_equal(sealed_open(pub, key, 7, "TOKEN", "AAAA", &value, &err), -EBADMSG);
    assert_null(value);
    free(sealed);
    for (int len = 0; len < 40; len++) {
        char text[41] = "";
        memset(text, 'x', (size_t)len);
        assert_int_equal(sealed_make(pub, 1, "A", text, &sealed, &err), 0);
        assert_int_equal(sealed_value_len("A", sealed), len);
        assert_int_equal(sealed_open(pub, key, 1, "A", sealed, &value, &err), 0);
        assert_string_equal(value, text);
        sealed_forget(value);
        free(sealed);
    }
}

static void names(void **state)
{
    (void)state;
    static const char *const good[] = {"A", "_", "API_KEY", "hf_token9", "PATH", "LD_PRELOAD"};
    static const char *const bad[] = {"",  "9A",  "A-B",  "A B",      "A=B",
                                      "Ä", "A\n", "PORT", "SPACE_ID", "HOME"};
    struct err err = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(space_env_check_name(good[i], &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(space_env_check_name(bad[i], &err), -EINVAL);
    assert_int_equal(space_env_check_name("PORT", &err), -EINVAL);
    assert_non_null(strstr(err.msg, "PORT is set by the server"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_made_once, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(opens_where_it_belongs, make_folder, remove_folder),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
