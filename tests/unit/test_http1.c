/* objects: gateway/chunk.o gateway/timer.o gateway/gbuf.o */
#include "unit.h"

#include "common/http1.h"
#include "gateway/chunk.h"
#include "gateway/gbuf.h"
#include "gateway/timer.h"

#include <errno.h>
#include <string.h>

static int request(struct http1_head *h, const char *text)
{
    return http1_parse_request(h, text, strlen(text));
}

static int response(struct http1_head *h, const char *text)
{
    return http1_parse_response(h, text, strlen(text));
}

static void request_facts(void **state)
{
    (void)state;
    struct http1_head h;
    const char *text = "POST /a?b HTTP/1.1\r\nHost: x.localhost:8080\r\nContent-Length: 12\r\n"
                       "X-Forwarded-For: 1\r\nX_Forwarded-For: 2\r\nOdd:\tv \r\nEmpty:\r\n"
                       "Connection: close, X-Hop\r\nX-Hop: 1\r\n\r\nbody";
    assert_int_equal(request(&h, text), (int)(strlen(text) - 4));
    assert_int_equal(h.method_len, 4);
    assert_memory_equal(text + h.target, "/a?b", 4);
    assert_memory_equal(text + h.host, "x.localhost:8080", 16);
    assert_int_equal(h.body, BODY_LENGTH);
    assert_int_equal(h.content_length, 12);
    assert_false(h.keep_alive);
    assert_int_equal(h.n_fields, 8);
    assert_int_equal(h.fields[2].id, FIELD_FORWARDING);
    assert_int_equal(h.fields[3].id, FIELD_SPOOF);
    assert_true(h.fields[0].plain);
    assert_false(h.fields[4].plain);
    assert_int_equal(h.fields[4].value_len, 1);
    assert_int_equal(h.fields[5].value_len, 0);
    assert_true(http1_named_hop(&h, text, &h.fields[7]));
    assert_false(http1_named_hop(&h, text, &h.fields[0]));
}

/* RFC 9112 3.2.1, 3.2.4: what an absolute form without a path becomes. RFC 9110 7.6.2 */
static void targets_without_a_path(void **state)
{
    (void)state;
    struct http1_head h;
    assert_true(request(&h, "GET http://a HTTP/1.1\r\nHost: b\r\n\r\n") > 0);
    assert_true(h.absolute && h.lead == '/' && h.target_len == 0 && h.host_len == 1);
    const char *text = "GET http://a?b HTTP/1.1\r\nHost: b\r\nMax-Forwards: 5\r\n\r\n";
    assert_true(request(&h, text) > 0);
    assert_true(h.lead == '/' && h.target_len == 2 && memcmp(text + h.target, "?b", 2) == 0);
    assert_true(h.has_max_forwards && h.max_forwards == 5);
    assert_true(request(&h, "OPTIONS http://a HTTP/1.1\r\nHost: b\r\nMax-Forwards: x\r\n\r\n") > 0);
    assert_true(h.lead == '*' && h.target_len == 0 && !h.has_max_forwards);
    assert_true(request(&h, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n") > 0);
    assert_true(h.lead == 0 && h.target_len == 1);
    assert_int_equal(request(&h, "CONNECT /a HTTP/1.1\r\nHost: b\r\n\r\n"), -501);
    assert_int_equal(request(&h, "options * HTTP/1.1\r\nHost: b\r\n\r\n"), -400);
}

/* However the bytes are cut, the answer is "more" until the head is whole, and then the same. */
static void request_in_pieces(void **state)
{
    (void)state;
    struct http1_head h;
    const char *text = "\r\nGET / HTTP/1.1\r\nHost: a\r\nA: b\r\nUpgrade: websocket\r\nConnection: "
                       "upgrade\r\n\r\n";
    size_t len = strlen(text);
    for (size_t n = 0; n < len; n++)
        assert_int_equal(http1_parse_request(&h, text, n), 0);
    assert_int_equal(http1_parse_request(&h, text, len), (int)len);
    assert_true(h.upgrade_websocket);
    text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    len = strlen(text);
    for (size_t n = 0; n < len; n++)
        assert_int_equal(http1_parse_response(&h, text, n), 0);
    assert_int_equal(http1_parse_response(&h, text, len), (int)len);
    assert_true(h.has_length);
}

static void requests_refused(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1\nHost: a\n\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"},
        {400,
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"},
        {400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"},
        {505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
        {505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n"},
        {501, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"},
    };
    struct http1_head h;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(request(&h, cases[i].text), -cases[i].status);
        assert_non_null(h.error);
    }
}

static void responses(void **state)
{
    (void)state;
    struct http1_head h;
    assert_true(response(&h, "HTTP/1.0 404 \r\n\r\n") > 0);
    assert_int_equal(h.status, 404);
    assert_int_equal(h.body, BODY_TO_EOF);
    assert_false(h.keep_alive);
    assert_true(response(&h, "HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n") > 0);
    assert_int_equal(h.body, BODY_CHUNKED);
    assert_int_equal(response(&h, "HTTP/1.1 20\r\n\r\n   "), -502);
    assert_int_equal(response(&h, "ICY 200 OK\r\n\r\n"), -502);
    assert_int_equal(
        response(&h, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"), -502);
}

static void hosts(void **state)
{
    (void)state;
    size_t n;
    assert_true(http1_host_ok("a-b.localhost:8080", 18, &n));
    assert_int_equal(n, 11 + 2);
    assert_true(http1_host_ok("[::1]:80", 8, &n));
    assert_int_equal(n, 5);
    static const char *const bad[] = {"",     ":80", "a b", "a/b", "a:b",    "a:999999", "[::",
                                      "[zz]", ".a",  "a@b", "a,b", "[::1]x", "a\tb",     "a:80:1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(http1_host_ok(bad[i], strlen(bad[i]), &n));
}

/* Decodes `text` given in steps of `step` bytes. The data, or NULL where it is malformed or does
 * not end. */
static const char *decode(const char *text, size_t step, char *out)
{
    struct chunk c = {0};
    size_t len = strlen(text), have = 0, at = 0, o = 0, n, used, name_len;
    const char *data;

    for (;;) {
        enum chunk_event e = chunk_next(&c, text + at, have - at, &used, &data, &n, &name_len);
        at += used;
        if (e == CHUNK_BAD)
            return NULL;
        if (e == CHUNK_DATA) {
            memcpy(out + o, data, n);
            o += n;
        }
        if (e == CHUNK_END) {
            out[o] = '\0';
            return out;
        }
        if (e == CHUNK_MORE) {
            if (have == len)
                return NULL;
            have = have + step < len ? have + step : len;
        }
    }
}

static void chunks(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"3\r\nabc\r\n0\r\n\r\n", "abc"},
        {"3\r\nabc\r\n2;a=\"\\\"\"; b\r\nde\r\n0\r\nA: b\r\n\r\n", "abcde"},
        {"0\r\n\r\n", ""},
        {"3\r\nabc\r\n0\r\n", NULL},
        {"3\nabc\r\n0\r\n\r\n", NULL},
        {"3\r\nabc0\r\n\r\n", NULL},
        {"-3\r\nabc\r\n0\r\n\r\n", NULL},
        {"ffffffffffffffff\r\nabc", NULL},
        {"3 \r\nabc\r\n0\r\n\r\n", NULL},
        {"3;\r\nabc\r\n0\r\n\r\n", NULL},
        {"0\r\n A: b\r\n\r\n", NULL},
    };
    char out[64];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t step = 1; step < 9; step++) {
            const char *got = decode(cases[i].text, step, out);
            if (cases[i].want)
                assert_string_equal(got, cases[i].want);
            else
                assert_null(got);
        }
}

static int fired;
static void on_fire(struct timer *t)
{
    (void)t;
    fired++;
}

static void timers(void **state)
{
    (void)state;
    struct timer_wheel *w = malloc(sizeof(*w));
    struct timer a = {.on_fire = on_fire}, b = {.on_fire = on_fire};
    timer_wheel_init(w, 1000);
    assert_true(timer_due_ms(w) == UINT64_MAX);
    timer_set(w, &a, 1100);
    timer_set(w, &b, 200000);
    timer_set(w, &a, 1500); /* later: where it is */
    timer_run(w, 1200);
    assert_int_equal(fired, 0);
    assert_in_range(timer_due_ms(w), 1201, 1508);
    timer_run(w, 1600);
    assert_int_equal(fired, 1);
    assert_false(timer_is_set(&a));
    for (uint64_t now = 1600; now < 200000; now += 5000)
        timer_run(w, now);
    assert_int_equal(fired, 1);
    timer_run(w, 200020);
    assert_int_equal(fired, 2);
    timer_set(w, &a, 200030); /* sooner than it was */
    timer_set(w, &a, 300000);
    timer_set(w, &a, 200100);
    timer_run(w, 200200);
    assert_int_equal(fired, 3);
    timer_set(w, &b, 230000);
    assert_in_range(timer_due_ms(w), 230000, 230016);
    timer_set(w, &b, 201000); /* an alarm that was set goes off sooner then */
    assert_in_range(timer_due_ms(w), 201000, 201016);
    timer_cancel(w, &b);
    timer_run(w, 400000);
    assert_int_equal(fired, 3);
    assert_true(timer_due_ms(w) == UINT64_MAX);
    free(w);
}

static void buffers(void **state)
{
    (void)state;
    struct gbuf_pool p;
    gbuf_pool_init(&p, 1);
    struct gbuf *b = NULL;
    assert_int_equal(gbuf_need(&p, &b, 10), 0);
    assert_int_equal(b->cap, GBUF_SMALL);
    memcpy(b->data, "0123456789", 10);
    b->tail = 10;
    gbuf_consume(b, 4);
    assert_int_equal(gbuf_need(&p, &b, GBUF_SMALL), 0);
    assert_int_equal(b->cap, GBUF_LARGE);
    assert_memory_equal(gbuf_at(b), "456789", 6);
    assert_int_equal(gbuf_need(&p, &b, GBUF_LARGE), -ENOBUFS);
    gbuf_give(&p, &b);
    assert_null(b);
    assert_int_equal(p.n_small, 1);
    assert_int_equal(p.n_large, 1);
    gbuf_pool_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_facts),
        cmocka_unit_test(targets_without_a_path),
        cmocka_unit_test(request_in_pieces),
        cmocka_unit_test(requests_refused),
        cmocka_unit_test(responses),
        cmocka_unit_test(hosts),
        cmocka_unit_test(chunks),
        cmocka_unit_test(timers),
        cmocka_unit_test(buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
