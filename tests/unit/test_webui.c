/* objects: webui/multipart.o webui/urls.o webui/text.o webui/locks.o webui/timedwait.o */
#include "tests/unit/unit.h"

#include "common/buf.h"
#include "common/conf.h"
#include "common/util.h"
#include "webui/locks.h"
#include "webui/multipart.h"
#include "webui/text.h"
#include "webui/urls.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* ---- multipart ------------------------------------------------------------------------------ */

static int begin(void *arg, const char *name, const char *filename, struct err *err)
{
    (void)err;
    return buf_printf(arg, "<%s|%s>", name, filename ? filename : "-");
}

static int content(void *arg, const char *data, size_t len, struct err *err)
{
    (void)err;
    return buf_append(arg, data, len);
}

static int end(void *arg, struct err *err)
{
    (void)err;
    return buf_puts(arg, "</>");
}

static const struct multipart_events events = {begin, content, end};

static int parse(const char *body, size_t piece, struct buf *out, struct err *err)
{
    struct multipart *m = NULL;
    assert_int_equal(multipart_new(&m, "multipart/form-data; boundary=\"a b\"", &events, out, err),
                     0);
    int r = 0;
    for (size_t at = 0, size = strlen(body); r == 0 && at < size; at += piece)
        r = multipart_feed(m, body + at, size - at < piece ? size - at : piece, err);
    if (r == 0)
        r = multipart_end(m, err);
    multipart_free(m);
    return r;
}

static void test_multipart_however_cut(void **state)
{
    (void)state;
    static const char body[] =
        "preamble\r\n--a b\r\ncontent-disposition: form-data; name=owner\r\n\r\nalice\r\n--a b\r\n"
        "X: y\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a;\\\"%22.txt\"\r\n\r\n"
        "\r\n--a\r\n--a \r\n--a b\r\nContent-Disposition: form-data; filename=\"\"; name=\"e\"\r\n"
        "\r\n\r\n--a b--\r\nepilogue";
    for (size_t piece = 1; piece < sizeof body; piece++) {
        struct buf out = BUF_INIT(4096);
        struct err err = {0};
        assert_int_equal(parse(body, piece, &out, &err), 0);
        assert_string_equal(out.data, "<owner|->alice</><f|a;\"\".txt>\r\n--a\r\n--a </><e|></>");
        buf_free(&out);
    }
}

static void test_multipart_refuses(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "nothing",
        "--a b",
        "--a b\r\nContent-Disposition: form-data; name=x\r\n\r\nno end",
        "--a b\r\nContent-Disposition: form-data; name=x\r\n\r\nno end\r\n--a b\r\n",
        "--a bx\r\n",
        "--a b\r\nContent-Type: text/plain\r\n\r\nnameless\r\n--a b--",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct buf out = BUF_INIT(4096);
        struct err err = {0};
        assert_int_equal(parse(bodies[i], 5, &out, &err), -EINVAL);
        assert_true(*err.msg);
        buf_free(&out);
    }
    static const char *const types[] = {
        NULL, "text/plain", "multipart/form-data",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\""};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct multipart *m = NULL;
        assert_int_equal(multipart_new(&m, types[i], &events, NULL, NULL), -EINVAL);
    }
}

/* ---- addresses ------------------------------------------------------------------------------ */

static void set(struct conf *c, const char *key, const char *value)
{
    struct err err = {0};
    assert_int_equal(conf_set(c, key, value, "test", &err), 0);
}

static void test_urls(void **state)
{
    (void)state;
    struct conf c;
    struct urls u;
    struct err err = {0};
    char url[URL_MAX];
    assert_int_equal(conf_init(&c), 0);
    assert_int_equal(urls_init(&u, &c, &err), 0);
    assert_string_equal(u.site, "http://localhost:8080");
    urls_demo(&u, "a-b", url);
    assert_string_equal(url, "http://a-b.localhost:8080");
    assert_true(u.cookies_work);

    set(&c, "server.listen", "[::1]:80");
    set(&c, "server.domain", "spaces.lan");
    set(&c, "server.demo_domain", "demos.lan");
    assert_int_equal(urls_init(&u, &c, &err), 0);
    assert_string_equal(u.site, "http://spaces.lan");
    urls_demo(&u, "a-b", url);
    assert_string_equal(url, "http://a-b.demos.lan");
    assert_false(u.cookies_work);

    set(&c, "server.public_url", "https://spaces.example.org:8443/");
    assert_int_equal(urls_init(&u, &c, &err), 0);
    urls_page(&u, "al", "x", url);
    assert_string_equal(url, "https://spaces.example.org:8443/spaces/al/x");
    urls_demo(&u, "al-x", url);
    assert_string_equal(url, "https://al-x.demos.lan:8443");
    assert_true(u.cookies_work);
    assert_true(urls_own_origin(&u, "https://spaces.example.org:8443", "whatever"));
    assert_true(urls_own_origin(&u, "http://127.0.0.1:80", "127.0.0.1:80"));
    assert_false(urls_own_origin(&u, "https://al-x.demos.lan:8443", "spaces.example.org:8443"));
    assert_false(urls_own_origin(&u, "http://spaces.example.org", "spaces.example.org"));
    assert_true(urls_own_origin(&u, "https://spaces.example.org", "spaces.example.org"));
    assert_false(urls_own_origin(&u, "null", "spaces.example.org:8443"));
    assert_false(urls_own_origin(&u, "http://", ""));

    set(&c, "server.public_url", "ftp://x");
    assert_int_equal(urls_init(&u, &c, &err), -EINVAL);
    conf_free(&c);
}

/* ---- texts ---------------------------------------------------------------------------------- */

static void test_texts(void **state)
{
    (void)state;
    char out[8], words[32];
    text_copy(out, sizeof out,
              "abc\xff"
              "d");
    assert_string_equal(out, "abc?d");
    text_copy(out, sizeof out, "12345\xf0\x9f\x94\xae");
    assert_string_equal(out, "12345"); /* no half of a character */
    text_duration(3 * 3600000ull + 1200000, words);
    assert_string_equal(words, "3 h 20 min");
    text_ago(now_ms() - 2 * 86400000ull, words);
    assert_string_equal(words, "2 days ago");
    text_ago(now_ms() + 5000, words);
    assert_string_equal(words, "just now");
}

/* ---- locks ---------------------------------------------------------------------------------- */

static void *release(void *arg)
{
    locks_release(arg);
    return NULL;
}

static void test_locks(void **state)
{
    (void)state;
    struct locks *l = NULL;
    struct locks_held *a = NULL, *b = NULL, *c = NULL;
    struct err err = {0};
    assert_int_equal(locks_new(&l, &err), 0);
    assert_int_equal(locks_take(l, "al/x", 0, &a, &err), 0);
    assert_int_equal(locks_take(l, "al/y", 0, &b, &err), 0);
    assert_int_equal(locks_take(l, "AL/X", 10, &c, &err), -EBUSY);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, release, a), 0);
    assert_int_equal(locks_take(l, "al/x", 20000, &c, &err), 0);
    pthread_join(t, NULL);
    locks_release(b);
    locks_release(c);
    locks_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_multipart_however_cut),
        cmocka_unit_test(test_multipart_refuses),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
