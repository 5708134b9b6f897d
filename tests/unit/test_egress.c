/* objects: egress/policy.o egress/links.o
 *
 * What builds may reach, and the links of an index that come back through its door. */
#include "unit.h"

#include "common/hostlist.h"
#include "common/http1.h"
#include "egress/links.h"
#include "egress/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static struct policy p;

static void load(const char *text)
{
    struct err err = {0};
    if (policy_parse(&p, text, strlen(text), &err) < 0)
        fail_msg("%s", err.msg);
}

static bool allowed(const char *host, uint16_t port)
{
    bool other;
    return policy_allows(&p, host, port, &other) != NULL;
}

static void hosts(void **state)
{
    (void)state;
    load("allow PyPI.org 443,80\nallow *.b.test 8443\nallow [::1] 80\n");
    assert_true(allowed("pypi.org", 80) && allowed("pypi.org", 443));
    assert_false(allowed("pypi.org", 22) || allowed("xpypi.org", 80) || allowed("a.pypi.org", 80));
    assert_true(allowed("x.b.test", 8443) && allowed("x.y.b.test", 8443));
    assert_false(allowed("b.test", 8443) || allowed("xb.test", 8443) || allowed(".b.test", 8443));
    assert_true(allowed("[::1]", 80));
    bool other;
    assert_null(policy_allows(&p, "pypi.org", 22, &other));
    assert_true(other);
    assert_null(policy_allows(&p, "pypi.com", 22, &other));
    assert_false(other);
}

static void logins(void **state)
{
    (void)state;
    load("login https a.test 443 Basic eA==\nlogin https a.test 8443 Bearer x y\n"
         "login http b.test 80 Basic z\n");
    assert_string_equal(policy_login(&p, "a.test", 80)->value, "Basic eA==");
    assert_string_equal(policy_login(&p, "a.test", 8443)->value, "Bearer x y");
    assert_false(policy_login(&p, "b.test", 80)->secure);
    assert_null(policy_login(&p, "a.test", 443));
    assert_null(policy_login(&p, "c.test", 80));
}

static void proxies(void **state)
{
    (void)state;
    load("proxy https proxy.test 3128 Basic x\nno_proxy .corp,host.test,near.test:8443\n");
    assert_null(policy_proxy(&p, false, "a.test", 80));
    assert_int_equal(policy_proxy(&p, true, "a.test", 443)->port, 3128);
    assert_null(policy_proxy(&p, true, "x.corp", 443));
    assert_non_null(policy_proxy(&p, true, "xcorp", 443));
    assert_null(policy_proxy(&p, true, "host.test", 443));
    assert_null(policy_proxy(&p, true, "a.host.test", 443));
    assert_non_null(policy_proxy(&p, true, "near.test", 443));
    assert_null(policy_proxy(&p, true, "near.test", 8443));
    load("proxy https proxy.test 3128\nno_proxy *\n");
    assert_null(policy_proxy(&p, true, "a.test", 443));
}

static bool address_ok(const char *text, bool inside)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return policy_address_ok(&p, inside, (struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return policy_address_ok(&p, inside, (struct sockaddr *)&v6);
}

static void addresses(void **state)
{
    (void)state;
    static const char *const bad[] = {"127.0.0.1",
                                      "10.1.2.3",
                                      "192.168.1.1",
                                      "172.31.255.255",
                                      "169.254.169.254",
                                      "100.64.0.1",
                                      "0.0.0.0",
                                      "255.255.255.255",
                                      "224.0.0.1",
                                      "168.63.129.16",
                                      "::1",
                                      "::",
                                      "fe80::1",
                                      "fd00:ec2::254",
                                      "::ffff:10.0.0.1",
                                      "64:ff9b::a00:1",
                                      "2002:a00:1::1",
                                      "2001:0:1::",
                                      "ff02::1"};
    static const char *const good[] = {"151.101.0.223", "2a04:4e42::223", "172.32.0.1", "11.0.0.1",
                                       "203.0.113.80"};
    load("");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (address_ok(bad[i], false) || !address_ok(bad[i], true))
            fail_msg("%s", bad[i]);
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        if (!address_ok(good[i], false))
            fail_msg("%s", good[i]);
    struct sockaddr_storage unix_one = {.ss_family = AF_UNIX};
    assert_false(policy_address_ok(&p, true, (struct sockaddr *)&unix_one));
}

/* A login's value is no word for an error. */
static void mistakes(void **state)
{
    (void)state;
    static const char *const bad[] = {"allow x",
                                      "allow x 80 in",
                                      "login https a 443 ",
                                      "bytes -1",
                                      "login https a 70000 secret",
                                      "proxy https a b secret"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct err err = {0};
        assert_int_equal(policy_parse(&p, bad[i], strlen(bad[i]), &err), -EINVAL);
        assert_non_null(strstr(err.msg, "line 1"));
        assert_null(strstr(err.msg, "secret"));
    }
}

static void links(void **state)
{
    (void)state;
    static const char in[] =
        "hhttps://a.test/x https://a.test:443/ HTTPS://A.Test\" "
        "https://a.test.evil/ https://a.testy https://a.test:444/ http://a.test/ "
        "https:\\/\\/a.test\\/q https://a.test";
    static const char wanted[] = "hhttp://a.test/x http://a.test/ http://a.test\" "
                                 "https://a.test.evil/ https://a.testy https://a.test:444/ "
                                 "http://a.test/ http://a.test\\/q http://a.test";
    for (size_t piece = 1; piece < sizeof(in); piece++) {
        struct links l;
        _cleanup_buf_ struct buf out = BUF_INIT(4096);
        links_init(&l, true, "a.test", 443, 80);
        for (size_t at = 0; at < sizeof(in) - 1; at += piece) {
            size_t n = sizeof(in) - 1 - at < piece ? sizeof(in) - 1 - at : piece;
            assert_int_equal(links_feed(&l, in + at, n, false, &out), 0);
        }
        assert_int_equal(links_feed(&l, "", 0, true, &out), 0);
        assert_string_equal(out.data, wanted);
    }
}

static int count(void *arg, const struct hostlist_entry *e)
{
    *(unsigned *)arg += 1u + e->port;
    return 0;
}

static void lists(void **state)
{
    (void)state;
    static const char *const bad[] = {"a b:0",    "a:70000", "*",   "*.", "*a",
                                      "http://a", "a/b",     "a:b", "u@a"};
    unsigned n = 0;
    assert_int_equal(hostlist_each(" a.test, *.b.test:8443\t[::1]:1 ", "x", count, &n, NULL), 0);
    assert_int_equal(n, 3 + 8443 + 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct err err = {0};
        assert_int_equal(hostlist_each(bad[i], "build.hosts", NULL, NULL, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "build.hosts: \""));
    }
}

/* What only a proxy is asked. */
static void proxy_requests(void **state)
{
    (void)state;
    struct http1_head h;
    const char *text = "CONNECT a.test:443 HTTP/1.1\r\nHost: b\r\n\r\n";
    assert_int_equal(http1_parse_proxy_request(&h, text, strlen(text)), strlen(text));
    assert_true(h.connect && h.host_len == 10 && h.target_len == 0);
    assert_int_equal(http1_parse_request(&h, text, strlen(text)), -501);
    text = "GET HTTPS://a.test/x HTTP/1.1\r\nHost: b\r\n\r\n";
    assert_int_equal(http1_parse_proxy_request(&h, text, strlen(text)), strlen(text));
    assert_true(h.absolute && h.secure && !h.connect && h.target_len == 2);
    text = "GET /x HTTP/1.1\r\nHost: b\r\n\r\n";
    assert_int_equal(http1_parse_proxy_request(&h, text, strlen(text)), -400);
    text = "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n";
    assert_int_equal(http1_parse_proxy_request(&h, text, strlen(text)), -400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),     cmocka_unit_test(logins),         cmocka_unit_test(proxies),
        cmocka_unit_test(addresses), cmocka_unit_test(mistakes),       cmocka_unit_test(links),
        cmocka_unit_test(lists),     cmocka_unit_test(proxy_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
