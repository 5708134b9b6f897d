/* objects: static/request.o static/mime.o */
#include "tests/unit/unit.h"

#include "static/mime.h"
#include "static/request.h"

static int parse(const char *head, struct request *req)
{
    return request_parse(head, strlen(head), req);
}

static void reads_a_request(void **state)
{
    struct request req;

    (void)state;
    assert_int_equal(parse("GET /a%20b//c?x=1&y HTTP/1.1\r\nHost: h\r\nrange:  bytes=1-2 \r\n"
                           "If-None-Match: \"e\"\r\n\r\n",
                           &req),
                     0);
    assert_true(req.get && !req.head && req.keep_alive && !req.has_body);
    assert_string_equal(req.path, "/a b/c");
    assert_int_equal(req.query_len, 6);
    assert_memory_equal(req.query, "?x=1&y", 6);
    assert_string_equal(req.range, "bytes=1-2");
    assert_string_equal(req.if_none_match, "\"e\"");

    assert_int_equal(parse("HEAD http://host/x HTTP/1.0\r\n\r\n", &req), 0);
    assert_true(req.head && !req.keep_alive);
    assert_string_equal(req.path, "/x");

    assert_int_equal(parse("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", &req), 0);
    assert_true(!req.get && !req.head && req.has_body);
    assert_int_equal(parse("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", &req), 0);
    assert_false(req.keep_alive);
}

static void refuses_what_is_none(void **state)
{
    static const struct {
        const char *head;
        int status;
    } cases[] = {
        {"GET /\r\n\r\n", 400},
        {"\r\n\r\n", 400},
        {"GET x HTTP/1.1\r\n\r\n", 400},
        {"GET * HTTP/1.1\r\n\r\n", 400},
        {"GET /%zz HTTP/1.1\r\n\r\n", 400},
        {"GET /%4 HTTP/1.1\r\n\r\n", 400},
        {"GET /%00 HTTP/1.1\r\n\r\n", 400},
        {"GET /%0a HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n: x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA : x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA: x\r\n folded\r\n\r\n", 400},
    };
    struct request req;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(parse(cases[i].head, &req), cases[i].status);

    char *head = malloc(REQUEST_PATH_MAX + 100);

    assert_non_null(head);
    snprintf(head, 6, "GET /");
    memset(head + 5, 'a', REQUEST_PATH_MAX + 45);
    snprintf(head + REQUEST_PATH_MAX + 50, 50, " HTTP/1.1\r\n\r\n");
    assert_int_equal(parse(head, &req), 414);
    free(head);
}

static void ranges(void **state)
{
    static const struct {
        const char *range;
        int status;
        uint64_t start, len;
    } cases[] = {
        {"bytes=0-9", 206, 0, 10},
        {"bytes=90-", 206, 90, 10},
        {"bytes=-10", 206, 90, 10},
        {"bytes=-1000", 206, 0, 100},
        {"bytes=5-5", 206, 5, 1},
        {"bytes=99-200", 206, 99, 1},
        {"bytes=100-", 416, 0, 0},
        {"bytes=-0", 416, 0, 0},
        {"bytes=9-5", 0, 0, 0},
        {"bytes=0-1,5-6", 0, 0, 0},
        {"items=0-1", 0, 0, 0},
        {"bytes=", 0, 0, 0},
        {"bytes=a-b", 0, 0, 0},
        {"bytes=1-2x", 0, 0, 0},
        {"bytes=--5", 0, 0, 0},
        {"bytes=-", 0, 0, 0},
        {"bytes=1 - 2", 0, 0, 0},
        {"bytes", 0, 0, 0},
        {"bytes=0-99999999999999999999", 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t start = 0, len = 0;

        assert_int_equal(request_range(cases[i].range, 100, &start, &len), cases[i].status);
        if (cases[i].status == 206) {
            assert_int_equal(start, cases[i].start);
            assert_int_equal(len, cases[i].len);
        }
    }
    uint64_t start, len;

    assert_int_equal(request_range("bytes=0-", 0, &start, &len), 416);
}

static void heads_end_at_the_blank_line(void **state)
{
    (void)state;
    assert_int_equal(request_head_len("GET / HTTP/1.1\r\n\r\nmore", 22), 18);
    assert_int_equal(request_head_len("GET / HTTP/1.1\r\n", 16), 0);
    assert_int_equal(request_head_len("", 0), 0);
}

static void content_types(void **state)
{
    (void)state;
    assert_string_equal(mime_of("a/index.HTML"), "text/html; charset=utf-8");
    assert_string_equal(mime_of("x.wasm"), "application/wasm");
    assert_string_equal(mime_of("x.aac"), "audio/aac");
    assert_string_equal(mime_of("x.zst"), "application/zstd");
    assert_string_equal(mime_of("a.js/README"), "application/octet-stream");
    assert_string_equal(mime_of("x.unknown"), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request), cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(ranges),          cmocka_unit_test(heads_end_at_the_blank_line),
        cmocka_unit_test(content_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
