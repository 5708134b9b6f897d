/* objects: cli/terminal.o */
#include "tests/unit/unit.h"

#include "cli/terminal.h"

static void expect(const char *in, const char *out)
{
    for (size_t cut = 0; cut <= strlen(in); cut++) { /* wherever it is cut */
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);
        struct terminal t = {0};
        assert_int_equal(terminal_write(&t, f, in, cut), 0);
        assert_int_equal(terminal_write(&t, f, in + cut, strlen(in) - cut), 0);
        fclose(f);
        assert_string_equal(text, out);
        free(text);
    }
}

static void text_stays(void **state)
{
    (void)state;
    expect("a line\n\tand \xc3\xa9 \xc2\xa0 \xe2\x82\xac \xf0\x9f\x98\x80\n",
           "a line\n\tand \xc3\xa9 \xc2\xa0 \xe2\x82\xac \xf0\x9f\x98\x80\n");
}

static void orders_are_shown(void **state)
{
    (void)state;
    expect("\x1b]0;owned\x07\x1b[2J\r\n", "^[]0;owned^G^[[2J^M\n");
    expect("\x7f\x08", "^?^H");
    expect("\xc2\x9b"
           "2J",
           "?2J"); /* CSI in UTF-8 ... */
    expect("\x9b"
           "2J",
           "?2J"); /* ... and by itself */
    expect("\xff\xc0\xc1", "???");
    expect("\xe2\x1b[m", "\xe2^[[m");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_stays),
        cmocka_unit_test(orders_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
