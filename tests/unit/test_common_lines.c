/* objects: ; lines.h */
#include "tests/unit/unit.h"

#include "common/cleanup.h"
#include "common/lines.h"

#include <errno.h>
#include <limits.h>

#define PIECE 16384 /* what is read at a time */

struct got {
    struct buf text; /* each line with a '|' behind it */
    unsigned lines, most;
    struct lines *gone; /* freed with the last line that is taken */
};

static bool take(void *arg, char *line, size_t len)
{
    struct got *g = arg;
    assert_int_equal(line[len], 0);
    assert_int_equal(buf_append(&g->text, line, len), 0);
    assert_int_equal(buf_puts(&g->text, "|"), 0);
    memset(line, 'x', len); /* it is the callee's */
    if (++g->lines < g->most)
        return true;
    if (g->gone)
        lines_free(g->gone);
    return false;
}

static struct got nothing(void)
{
    return (struct got){.text = BUF_INIT(1 << 20), .most = UINT_MAX};
}

static int add(struct lines *l, const char *text, struct got *g)
{
    return lines_add(l, text, strlen(text), take, g);
}

static void expect(struct got *g, const char *text)
{
    assert_int_equal(g->text.len, strlen(text));
    assert_string_equal(g->text.len ? g->text.data : "", text);
    buf_clear(&g->text);
}

static void lines_come_in_pieces(void **state)
{
    (void)state;
    static const char text[] = "one\n\ntwo words\nthree\n";
    for (size_t size = 1; size < sizeof(text); size++) {
        struct lines l = LINES_INIT(100, false, 0);
        struct got g = nothing();
        for (size_t at = 0; at < sizeof(text) - 1; at += size) {
            size_t left = sizeof(text) - 1 - at;
            assert_int_equal(lines_add(&l, text + at, left < size ? left : size, take, &g), 0);
        }
        expect(&g, "one||two words|three|");
        buf_free(&g.text);
        lines_free(&l);
    }
}

static void a_long_line_is_an_error_or_is_cut(void **state)
{
    (void)state;
    struct got g = nothing();
    struct lines strict = LINES_INIT(4, false, 0), cut = LINES_INIT(4, true, 0);
    assert_int_equal(add(&strict, "1234\n12", &g), 0);
    assert_int_equal(add(&strict, "345\n", &g), -EMSGSIZE);
    expect(&g, "1234|");
    /* at once, in pieces, and never at an end */
    assert_int_equal(add(&cut, "1234\n12345\nab", &g), 0);
    assert_int_equal(add(&cut, "cdef", &g), 0);
    assert_int_equal(add(&cut, "ghi", &g), 0);
    expect(&g, "1234|1234|");
    assert_int_equal(add(&cut, "\nnext\n", &g), 0);
    expect(&g, "abcd|next|");
    lines_free(&strict);
    lines_free(&cut);
    buf_free(&g.text);
}

static void a_nul_is_a_byte_as_any(void **state)
{
    (void)state;
    static const char text[] = "a\0b\n\0\nc\n";
    struct got g = nothing();
    struct lines l = LINES_INIT(100, false, 0);
    assert_int_equal(lines_add(&l, text, sizeof(text) - 1, take, &g), 0);
    assert_int_equal(g.text.len, 8);
    assert_memory_equal(g.text.data, "a\0b|\0|c|", 8);
    buf_free(&g.text);
    lines_free(&l);
}

static void no_more_is_kept_than_a_line_may_have(void **state)
{
    (void)state;
    struct got g = nothing();
    struct lines l = LINES_INIT(1000, true, 0);
    char junk[5000];
    memset(junk, 'j', sizeof(junk));
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(lines_add(&l, junk, sizeof(junk), take, &g), 0);
        assert_true(l.begun.cap <= 1001);
    }
    assert_int_equal(add(&l, "\n", &g), 0);
    assert_int_equal(g.text.len, 1001);
    buf_free(&g.text);
    lines_free(&l);
}

static void who_wants_no_more_may_free_them(void **state)
{
    (void)state;
    struct got g = nothing();
    struct lines l = LINES_INIT(100, false, 0);
    g.most = 2;
    g.gone = &l;
    assert_int_equal(add(&l, "one\ntwo\nthree\n", &g), -ECANCELED);
    expect(&g, "one|two|");
    buf_free(&g.text);
}

static void pipe_of(int fds[2], const char *text)
{
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
}

static void what_has_no_end_is_no_line(void **state)
{
    (void)state;
    int fds[2];
    struct got g = nothing();
    struct lines l = LINES_INIT(100, false, 0);
    pipe_of(fds, "one\ntw");
    assert_int_equal(lines_read(&l, fds[0], UINT_MAX, take, &g), 1); /* no more yet */
    expect(&g, "one|");
    assert_int_equal(write(fds[1], "o\nthr", 5), 5);
    close_fd(&fds[1]);
    assert_int_equal(lines_read(&l, fds[0], UINT_MAX, take, &g), 0);
    expect(&g, "two|");
    assert_int_equal(lines_read(&l, fds[0], 1, take, &g), 0); /* the end stays the end */
    close_fd(&fds[0]);
    buf_free(&g.text);
    lines_free(&l);
}

static void as_many_pieces_as_asked_for(void **state)
{
    (void)state;
    static char text[3 * PIECE + 1];
    int fds[2];
    struct got g = nothing();
    struct lines l = LINES_INIT(PIECE, false, 0);
    memset(text, 'a', sizeof(text) - 1);
    for (int i = 1; i <= 3; i++)
        text[i * PIECE - 1] = '\n';
    pipe_of(fds, text);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(lines_read(&l, fds[0], 1, take, &g), 1);
        assert_int_equal(g.lines, i);
    }
    close_fd(&fds[0]);
    close_fd(&fds[1]);
    buf_free(&g.text);
    lines_free(&l);
}

static void there_is_an_end_to_all_of_it(void **state)
{
    (void)state;
    int fds[2];
    struct got g = nothing();
    struct lines l = LINES_INIT(100, false, 10);
    pipe_of(fds, "12345678\n\n");
    assert_int_equal(lines_read(&l, fds[0], UINT_MAX, take, &g), 1); /* as many as may be */
    expect(&g, "12345678||");
    assert_int_equal(write(fds[1], "\n", 1), 1);
    assert_int_equal(lines_read(&l, fds[0], UINT_MAX, take, &g), -EFBIG);
    expect(&g, "");
    close_fd(&fds[0]);
    close_fd(&fds[1]);
    buf_free(&g.text);
    lines_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_in_pieces),
        cmocka_unit_test(a_long_line_is_an_error_or_is_cut),
        cmocka_unit_test(a_nul_is_a_byte_as_any),
        cmocka_unit_test(no_more_is_kept_than_a_line_may_have),
        cmocka_unit_test(who_wants_no_more_may_free_them),
        cmocka_unit_test(what_has_no_end_is_no_line),
        cmocka_unit_test(as_many_pieces_as_asked_for),
        cmocka_unit_test(there_is_an_end_to_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
