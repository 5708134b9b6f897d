/* objects: ; conf.h */
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/conf.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Loads `text` as a file over fresh defaults: conf_load's result. */
static int load(void **state, const char *text, struct conf *c, struct err *err)
{
    const char *path = in_folder(state, "v.ini");
    put_file(path, text);
    assert_int_equal(conf_init(c), 0);
    return conf_load(c, path, err);
}

/* Loading `text` fails and the message has all of the words. */
static void refused(void **state, const char *text, const char *const *words)
{
    struct conf c;
    struct err err = {0};
    assert_int_equal(load(state, text, &c, &err), -EINVAL);
    assert_non_null(strstr(err.msg, in_folder(state, "v.ini")));
    for (; *words; words++)
        if (!strstr(err.msg, *words))
            fail_msg("\"%s\" lacks \"%s\"", err.msg, *words);
    conf_free(&c);
}
#define REFUSED(text, ...) refused(state, text, (const char *const[]){__VA_ARGS__, NULL})

static void defaults(void **state)
{
    (void)state;
    struct conf c;
    struct err err = {0};
    assert_int_equal(conf_init(&c), 0);
    assert_string_equal(c.server_listen, "127.0.0.1:8080");
    assert_true(c.lifecycle_sleep_after == 600000);
    assert_true(c.limits_memory == 1ull << 30);
    assert_true(c.limits_cpu == 1000);
    assert_false(c.server_allow_insecure_listen);
    assert_int_equal(conf_check(&c, &err), 0);
    conf_free(&c);
    conf_free(&c); /* twice is harmless */
}

static void values_of_all_types(void **state)
{
    struct conf c;
    struct err err = {0};
    int r = load(state,
                 "# a comment\n; another\n\xef\xbb\xbf\n"
                 "[lifecycle]\r\nsleep_after = 3s\r\n"
                 "  start_timeout=never\n\tstop_grace : 1500ms ; why\n"
                 "[limits]\nmemory = 512M\ncpu = 0.5\npids=64\n"
                 "[server]\nallow_insecure_listen = Yes\npublic_url =\ndata = /a b/c=d",
                 &c, &err);
    /* A byte order mark is one at the very beginning only. */
    assert_int_equal(r, -EINVAL);
    conf_free(&c);
    r = load(state,
             "\xef\xbb\xbf# a comment\n; another\n\n"
             "[lifecycle]\r\nsleep_after = 3s\r\n"
             "  start_timeout=never\n\tstop_grace : 1500ms ; why\n"
             "[limits]\nmemory = 512M\ncpu = 0.5\npids=64\n"
             "[server]\nallow_insecure_listen = Yes\npublic_url =\ndata = /a b/c=d",
             &c, &err);
    assert_int_equal(r, 0);
    assert_true(c.lifecycle_sleep_after == 3000);
    assert_true(c.lifecycle_start_timeout == CONF_NEVER);
    assert_true(c.lifecycle_stop_grace == 1500);
    assert_true(c.limits_memory == 512ull << 20);
    assert_true(c.limits_cpu == 500);
    assert_true(c.limits_pids == 64);
    assert_true(c.server_allow_insecure_listen);
    assert_string_equal(c.server_public_url, "");
    assert_string_equal(c.server_data, "/a b/c=d");
    conf_free(&c);
}

static void errors_name_line_key_value_remedy(void **state)
{
    REFUSED("[lifecycle]\nsleep_after = soon\n", ":2: ", "lifecycle.sleep_after", "\"soon\"",
            "10m");
    REFUSED("[lifecycle]\n\n\nsleep_after = 3\n", ":4: ", "\"3\"", "duration");
    REFUSED("[lifecycle]\nsleep_after = 1ms\n", "at least 100ms");
    REFUSED("[lifecycle]\nbackoff_max = 2h\n", "from 1ms to 1h");
    REFUSED("[limits]\nmemory = 1M\n", "limits.memory", "at least 16M");
    REFUSED("[limits]\ncpu = fast\n", "limits.cpu", "from 0.01 to 1024");
    REFUSED("[limits]\ncpu = 0.0001\n", "limits.cpu");
    REFUSED("[limits]\npids = -1\n", "from 4 to 100000");
    REFUSED("[limits]\npids = 99999999999999999999\n", "from 4 to 100000");
    REFUSED("[limits]\npids =\n", "limits.pids = \"\"");
    REFUSED("[server]\nallow_insecure_listen = maybe\n", "true or false");
    REFUSED("[server]\n# x\nlisten_on = 1\n", ":3: ", "unknown option server.listen_on", "sample");
    REFUSED("[server]\nsleep_after = 3s\n", ":2: ", "did you mean lifecycle.sleep_after?");
    REFUSED("[nonsense]\nx = 3s\n", ":2: ", "nonsense.x");
    REFUSED("domain = x\n", ":1: ", "domain", "[server]");
    REFUSED("[server]\ndomain\n", ":2: ", "key = value");
    REFUSED("[server\ndomain = x\n", ":1: ", "[section]");
    REFUSED("[server]\ndomain = a\nlisten = [::1]:1\ndomain = b\n", ":4: ", "server.domain",
            "\"b\"", "line 2");
}

static void the_first_error_counts_and_nothing_after_it(void **state)
{
    struct conf c;
    struct err err = {0};
    assert_int_equal(load(state, "[limits]\npids = x\n[server]\ndomain = later\n", &c, &err),
                     -EINVAL);
    assert_non_null(strstr(err.msg, ":2: "));
    assert_string_equal(c.server_domain, "localhost");
    conf_free(&c);
}

static void long_lines(void **state)
{
    struct conf c;
    struct err err = {0};
    char text[6000] = "[server]\ndata = ";
    size_t head = strlen(text);
    memset(text + head, 'd', 3900);
    assert_int_equal(load(state, text, &c, &err), 0);
    assert_int_equal(strlen(c.server_data), 3900);
    conf_free(&c);
    memset(text + head, 'd', 5000);
    REFUSED(text, ":2: ", "longer than 4000");
}

static void no_text_file(void **state)
{
    struct conf c;
    struct err err = {0};
    const char *path = in_folder(state, "bin");
    assert_int_equal(file_write_whole(path, "[server]\n\0x", 11, 0600, &err), 0);
    assert_int_equal(conf_init(&c), 0);
    assert_int_equal(conf_load(&c, path, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "bin:2: "));
    assert_int_equal(conf_load(&c, in_folder(state, "none"), &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/none: "));
    assert_int_equal(conf_load(&c, *state, &err), -EISDIR);
    conf_free(&c);
}

static void set_by_name(void **state)
{
    (void)state;
    struct conf c;
    struct err err = {0};
    assert_int_equal(conf_init(&c), 0);
    assert_int_equal(conf_set(&c, "server.listen", "127.0.0.1:1", "--listen", &err), 0);
    assert_string_equal(c.server_listen, "127.0.0.1:1");
    assert_int_equal(conf_set(&c, "limits.pids", "x", "--set", &err), -EINVAL);
    assert_int_equal(strncmp(err.msg, "--set: limits.pids = \"x\"", 24), 0);
    assert_true(c.limits_pids == 256);
    assert_int_equal(conf_set(&c, "listen", "x", "--set", &err), -EINVAL);
    assert_non_null(strstr(err.msg, "server.listen"));
    assert_int_equal(conf_set(&c, "server.", "x", "--set", &err), -EINVAL);
    assert_int_equal(conf_set(&c, "", "x", "--set", &err), -EINVAL);
    conf_free(&c);
}

static void what_hangs_together(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        const char *word; /* of the message; NULL: it is right */
    } cases[] = {
        {"server.listen", "127.0.0.53:80", NULL},
        {"server.listen", "[::1]:8080", NULL},
        {"server.listen", "0.0.0.0:8080", "allow_insecure_listen"},
        {"server.listen", "[::]:8080", "allow_insecure_listen"},
        {"server.listen", "192.168.1.1:80", "allow_insecure_listen"},
        {"server.listen", "8080", "ADDRESS:PORT"},
        {"server.listen", ":8080", "ADDRESS:PORT"},
        {"server.listen", "127.0.0.1:", "ADDRESS:PORT"},
        {"server.listen", "127.0.0.1:70000", "ADDRESS:PORT"},
        {"server.listen", "localhost:80", "numeric"},
        {"server.listen", "::1:80", "numeric"},
        {"server.listen", "[]:80", "numeric"},
        {"server.listen", "[:80", "numeric"},
        {"server.domain", "spaces.example.org", NULL},
        {"server.domain", "", "server.domain"},
        {"server.domain", "Example.org", "lower case"},
        {"server.domain", "example.org:80", "port"},
        {"server.domain", "a..b", "host name"},
        {"server.domain", "-a", "host name"},
        {"server.domain", "a-.b", "host name"},
        {"server.domain", "a.", "host name"},
        {"server.demo_domain", "demo.example.org", NULL},
        {"server.demo_domain", "a b", "demo_domain"},
        {"server.public_url", "https://x", NULL},
        {"server.public_url", "x", "http://"},
        {"log.level", "loud", "debug, info, warn or error"},
        {"log.format", "xml", "text or json"},
        {"server.data", "", "server.data"},
        {"sandbox.root", "relative", "absolute"},
        {"sandbox.root", "/srv/root", NULL},
        {"sandbox.python", "python3", "absolute"},
        {"lifecycle.backoff_first", "2m", "backoff_max"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct conf c;
        struct err err = {0};
        assert_int_equal(conf_init(&c), 0);
        assert_int_equal(conf_set(&c, cases[i].key, cases[i].value, "test", &err), 0);
        int r = conf_check(&c, &err);
        if (r != (cases[i].word ? -EINVAL : 0) ||
            (cases[i].word && !strstr(err.msg, cases[i].word)))
            fail_msg("%s = %s: %d %s", cases[i].key, cases[i].value, r, err.msg);
        conf_free(&c);
    }
    struct conf c;
    assert_int_equal(conf_init(&c), 0);
    conf_set(&c, "server.listen", "0.0.0.0:80", "test", NULL);
    conf_set(&c, "server.allow_insecure_listen", "true", "test", NULL);
    assert_int_equal(conf_check(&c, NULL), 0);
    conf_free(&c);
}

static void handed_over_whole(void **state)
{
    (void)state;
    struct conf c, d;
    struct err err = {0};
    assert_int_equal(conf_init(&c), 0);
    conf_set(&c, "server.data", "/with = odd ; \"things\"\n#", "test", NULL);
    conf_set(&c, "lifecycle.sleep_after", "never", "test", NULL);
    conf_set(&c, "lifecycle.stop_grace", "1501ms", "test", NULL);
    conf_set(&c, "limits.cpu", "1.125", "test", NULL);
    conf_set(&c, "limits.memory", "16777217", "test", NULL);
    conf_set(&c, "sandbox.require_cgroup", "on", "test", NULL);
    _cleanup_close_ int fd = conf_to_fd(&c, &err);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), -1); /* sealed */
    assert_int_equal(ftruncate(fd, 0), -1);
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(conf_init(&d), 0);
        assert_int_equal(conf_from_fd(&d, fd, &err), 0);
        assert_string_equal(d.server_data, c.server_data);
        assert_true(d.lifecycle_sleep_after == CONF_NEVER);
        assert_true(d.lifecycle_stop_grace == 1501);
        assert_true(d.limits_cpu == 1125);
        assert_true(d.limits_memory == 16777217);
        assert_true(d.sandbox_require_cgroup);
        conf_free(&d);
    }
    conf_free(&c);
}

static void a_broken_hand_over_is_refused(void **state)
{
    const struct {
        const char *bytes;
        size_t len;
    } cases[] = {{"", 0},
                 {"server.data\0x", 13},
                 {"server.data", 12},
                 {"x.y\0z", 6},
                 {"limits.pids\0z", 14}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct conf c;
        struct err err = {0};
        const char *path = in_folder(state, "f");
        assert_int_equal(file_write_whole(path, cases[i].bytes, cases[i].len, 0600, &err), 0);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(conf_init(&c), 0);
        assert_true(conf_from_fd(&c, fd, &err) < 0);
        conf_free(&c);
    }
}

/* The sample as it is, and with every comment sign taken off its options, is a right configuration
 * and the defaults'. */
static void the_sample_is_right(void **state)
{
    for (int active = 0; active < 2; active++) {
        const char *path = in_folder(state, "sample.ini");
        char *text = NULL;
        size_t len;
        FILE *m = open_memstream(&text, &len);
        conf_write_sample(m);
        fclose(m);
        if (active)
            for (char *p = text; (p = strstr(p, "\n#")); p++)
                if (p[2] != ' ')
                    p[1] = ' ';
        put_file(path, text);
        struct conf c, d;
        struct err err = {0};
        conf_init(&c);
        conf_init(&d);
        if (conf_load(&c, path, &err) < 0)
            fail_msg("%s", err.msg);
        assert_int_equal(conf_check(&c, &err), 0);
        int a = conf_to_fd(&c, &err), b = conf_to_fd(&d, &err);
        _cleanup_buf_ struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20);
        lseek(a, 0, SEEK_SET);
        lseek(b, 0, SEEK_SET);
        assert_int_equal(buf_read_fd(&x, a), 0);
        assert_int_equal(buf_read_fd(&y, b), 0);
        assert_int_equal(x.len, y.len);
        assert_memory_equal(x.data, y.data, x.len);
        close(a);
        close(b);
        conf_free(&c);
        conf_free(&d);
        free(text);
    }
}

static void the_manual_lists_every_option(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;
    FILE *m = open_memstream(&text, &len);
    conf_write_man(m);
    fclose(m);
    int n = 0, all = 0;
    for (const char *p = text; (p = strstr(p, ".TP\n.B ")); p++)
        n++;
#define X(section, key, type, def, least, most, words) all++;
    CONF_OPTIONS(X)
#undef X
    assert_int_equal(n, all);
    assert_non_null(strstr(text, "\n.SS [lifecycle]\n"));
    free(text);
}

int main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        IN_FOLDER(values_of_all_types),
        IN_FOLDER(errors_name_line_key_value_remedy),
        IN_FOLDER(the_first_error_counts_and_nothing_after_it),
        IN_FOLDER(long_lines),
        IN_FOLDER(no_text_file),
        cmocka_unit_test(set_by_name),
        cmocka_unit_test(what_hangs_together),
        cmocka_unit_test(handed_over_whole),
        IN_FOLDER(a_broken_hand_over_is_refused),
        IN_FOLDER(the_sample_is_right),
        cmocka_unit_test(the_manual_lists_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
