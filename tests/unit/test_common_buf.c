/* objects: ; buf.h, utf8.h */
#include "common/buf.h"
#include "common/utf8.h"

#include "unit.h"

#include <errno.h>
#include <string.h>

static void grows_to_its_ceiling(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf b = BUF_INIT(10);
    assert_int_equal(buf_append(&b, "0123456789", 10), 0);
    assert_string_equal(b.data, "0123456789");
    assert_int_equal(buf_append(&b, "x", 1), -ENOBUFS);
    assert_int_equal(b.len, 10);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOBUFS);
    assert_true(b.cap <= 11);
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
}

static void a_failed_append_adds_nothing(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf b = BUF_INIT(8);
    assert_int_equal(buf_puts(&b, "ab"), 0);
    assert_int_equal(buf_html(&b, "c<<"), -ENOBUFS);
    assert_string_equal(b.data, "ab");
    assert_int_equal(buf_json(&b, "cdefg"), -ENOBUFS);
    assert_string_equal(b.data, "ab");
    assert_int_equal(buf_printf(&b, "%s", "1234567"), -ENOBUFS);
    assert_string_equal(b.data, "ab");
    assert_int_equal(buf_printf(&b, "%d", 123456), 0);
    assert_string_equal(b.data, "ab123456");
}

static void zero_bytes_and_zero_ceiling(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    assert_int_equal(buf_puts(&b, "x"), -ENOBUFS);
    buf_consume(&b, 0);
}

static void consume_moves_the_rest(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf b = BUF_INIT(100);
    buf_puts(&b, "hello world");
    buf_consume(&b, 6);
    assert_string_equal(b.data, "world");
    buf_consume(&b, 5);
    assert_int_equal(b.len, 0);
}

static void html_is_escaped(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf b = BUF_INIT(1000);
    assert_int_equal(buf_html(&b, "<a href='x' title=\"&\">"), 0);
    assert_string_equal(b.data, "&lt;a href=&#39;x&#39; title=&quot;&amp;&quot;&gt;");
}

static void json_is_escaped(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf b = BUF_INIT(1000);
    assert_int_equal(buf_json(&b, "q\" b\\ n\n t\t d\x7f \xe2\x82\xac \xff \xc0\x80 \xed\xa0\x80"),
                     0);
    assert_string_equal(b.data, "\"q\\\" b\\\\ n\\n t\\u0009 d\\u007f \xe2\x82\xac \xef\xbf\xbd "
                                "\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void utf8_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        size_t len;
    } cases[] = {
        {"", 0},
        {"a", 1},
        {"\x7f", 1},
        {"\x80", 0},
        {"\xc2\x80", 2},
        {"\xc1\xbf", 0}, /* overlong */
        {"\xc3", 0},     /* cut off */
        {"\xe0\xa0\x80", 3},
        {"\xe0\x9f\xbf", 0}, /* overlong */
        {"\xed\x9f\xbf", 3},
        {"\xed\xa0\x80", 0}, /* a surrogate */
        {"\xef\xbf\xbf", 3},
        {"\xe2\x82", 0},
        {"\xf0\x90\x80\x80", 4},
        {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0}, /* past U+10FFFF */
        {"\xf5\x80\x80\x80", 0},
        {"\xf0\x9f\x98", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(utf8_len(cases[i].s), cases[i].len);
}

static void reads_a_descriptor_to_its_end(void **state)
{
    (void)state;
    for (size_t size = 9; size <= 11; size++) {
        int p[2];
        assert_int_equal(pipe(p), 0);
        assert_int_equal(write(p[1], "0123456789a", size), (ssize_t)size);
        close(p[1]);
        _cleanup_buf_ struct buf b = BUF_INIT(10);
        assert_int_equal(buf_read_fd(&b, p[0]), size > 10 ? -EFBIG : 0);
        if (size <= 10)
            assert_int_equal(b.len, size);
        close(p[0]);
    }
    _cleanup_buf_ struct buf b = BUF_INIT(10);
    assert_int_equal(buf_read_fd(&b, -1), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_to_its_ceiling),
        cmocka_unit_test(a_failed_append_adds_nothing),
        cmocka_unit_test(zero_bytes_and_zero_ceiling),
        cmocka_unit_test(consume_moves_the_rest),
        cmocka_unit_test(html_is_escaped),
        cmocka_unit_test(json_is_escaped),
        cmocka_unit_test(utf8_lengths),
        cmocka_unit_test(reads_a_descriptor_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
