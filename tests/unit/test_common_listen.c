#include "tests/unit/unit.h"

#include "common/listen.h"

#include <errno.h>
#include <string.h>

static struct listen_entry seen[4];
static int n_seen;

static int keep(void *arg, const struct listen_entry *e, struct err *err)
{
    (void)arg;
    (void)err;
    seen[n_seen++] = *e;
    return 0;
}

static void a_list(void **state)
{
    (void)state;
    struct err err = {0};
    n_seen = 0;
    assert_int_equal(
        listen_each("127.0.0.1:80 proxy, [::]:8080,, unix:/run/a b mode=0660 owner=www:adm", "x",
                    keep, NULL, &err),
        -EINVAL); /* "b" is no word */
    n_seen = 0;
    assert_int_equal(
        listen_each(" 127.0.0.1:80 proxy, [::]:8080,,\tunix:/run/a mode=0660 owner=www:adm "
                    "proxy, fd:http ",
                    "x", keep, NULL, &err),
        0);
    assert_int_equal(n_seen, 4);
    assert_true(seen[0].kind == LISTEN_TCP && seen[0].proxied);
    assert_string_equal(seen[0].where, "127.0.0.1:80");
    assert_true(seen[1].kind == LISTEN_TCP && !seen[1].proxied);
    assert_true(seen[2].kind == LISTEN_UNIX && seen[2].proxied && seen[2].mode == 0660);
    assert_string_equal(seen[2].where, "/run/a");
    assert_string_equal(seen[2].user, "www");
    assert_string_equal(seen[2].group, "adm");
    assert_true(seen[3].kind == LISTEN_FD && seen[3].mode == 0600);
    assert_string_equal(seen[3].where, "http");
    assert_int_equal(listen_each("", "x", keep, NULL, &err), 0);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *list, *says;
    } cases[] = {
        {"localhost:80", "localhost"},
        {"80", "ADDRESS:PORT"},
        {"127.0.0.1:65536", "65536"},
        {"::1:80", "brackets"},
        {"unix:run/x", "absolute"},
        {"unix:", "absolute"},
        {"fd:", "nothing"},
        {"127.0.0.1:80 mode=0600", "mode=0600"},
        {"unix:/x mode=0888", "octal"},
        {"unix:/x mode=01777", "octal"},
        {"unix:/x owner=:adm", "USER"},
        {"127.0.0.1:80 tcp", "tcp"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err err = {0};
        assert_int_equal(listen_each(cases[i].list, "a.b", NULL, NULL, &err), -EINVAL);
        if (!strstr(err.msg, cases[i].says) || !strstr(err.msg, "a.b"))
            fail_msg("%s: %s", cases[i].list, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
