/* Values of secrets in a program's output. objects: sandbox/init_blank.o */
#include "sandbox/init_blank.h"
#include "unit.h"

static char out[1 << 20];
static size_t n_out;

static void put(void *arg, const char *data, size_t len)
{
    (void)arg;
    assert_true(len > 0 && n_out + len < sizeof(out));
    memcpy(out + n_out, data, len);
    n_out += len;
}

/* What the log gets of `text`, which comes in pieces of `piece` bytes. */
static const char *blanked(char *const *secrets, size_t n, const char *text, size_t piece)
{
    int failed = 0;
    struct blank *b = blank_new(secrets, n, &failed);
    assert_int_equal(failed, 0);
    n_out = 0;
    for (size_t i = 0, len = strlen(text); b && i < len; i += piece)
        blank_write(b, text + i, len - i < piece ? len - i : piece, put, NULL);
    if (b)
        blank_flush(b, put, NULL);
    else
        put(NULL, text, strlen(text));
    blank_free(b);
    out[n_out] = 0;
    return out;
}

static void whole_and_in_pieces(void **state)
{
    (void)state;
    char *const secrets[] = {"TOKEN=hf_abcdef123", "OTHER=hf_abcdef123456", "EMPTY=", "SHORT=abc"};
    const char *text =
        "a hf_abcdef123, then hf_abcdef123456! hf_abcdef12 abc hf_abcdefhf_abcdef123\n";
    for (size_t piece = 1; piece < 40; piece++)
        assert_string_equal(blanked(secrets, 4, text, piece),
                            "a [secret], then [secret]! hf_abcdef12 abc hf_abcdef[secret]\n");
}

static void what_overlaps_itself(void **state)
{
    (void)state;
    char *const secrets[] = {"A=aaaab"};
    for (size_t piece = 1; piece < 12; piece++)
        assert_string_equal(blanked(secrets, 1, "aaaaaaab aaaa aaaab\n", piece),
                            "aaa[secret] aaaa [secret]\n");
}

static void several_lines(void **state)
{
    (void)state;
    char *const secrets[] = {"KEY=-----BEGIN KEY-----\nMIIEvQIBADANBg\nshort\n-----END KEY-----\n"};
    for (size_t piece = 1; piece < 64; piece += 3) {
        assert_string_equal(
            blanked(secrets, 1,
                    "k: -----BEGIN KEY-----\nMIIEvQIBADANBg\nshort\n-----END KEY-----\nrest\n",
                    piece),
            "k: [secret]\nrest\n");
        assert_string_equal(blanked(secrets, 1, "log: MIIEvQIBADANBg!\nshort\n", piece),
                            "log: [secret]!\nshort\n");
    }
}

static void in_base64(void **state)
{
    (void)state;
    char *const secrets[] = {"A=correct horse battery"};
    assert_string_equal(blanked(secrets, 1, "Basic Y29ycmVjdCBob3JzZSBiYXR0ZXJ5 x\n", 5),
                        "Basic [secret] x\n");
}

static void a_beginning_at_the_end(void **state)
{
    (void)state;
    char *const secrets[] = {"A=correct horse battery"};
    assert_string_equal(blanked(secrets, 1, "it is correct horse ba", 4), "it is [secret]");
    assert_string_equal(blanked(secrets, 1, "it is c", 4), "it is c");
}

static void nothing_to_blank(void **state)
{
    (void)state;
    int failed = 1;
    char *const short_ones[] = {"A=abc", "B=", "C=\n\n\n\n\n"};
    assert_null(blank_new(NULL, 0, &failed));
    assert_int_equal(failed, 0);
    assert_null(blank_new(short_ones, 3, &failed));
    assert_int_equal(failed, 0);
}

/* Against the plain way to do it: replace in the whole text, the longest at each place. */
static void as_the_plain_way(void **state)
{
    (void)state;
    char *const secrets[] = {"A=abab", "B=ababcaba", "C=bcab", "D=cccc"};
    const char *const values[] = {"ababcaba", "abab", "bcab", "cccc"};
    srand(7);
    for (int round = 0; round < 2000; round++) {
        char text[80], want[800] = "";
        size_t len = (size_t)rand() % 70;
        for (size_t i = 0; i < len; i++)
            text[i] = (char)('a' + rand() % 3);
        text[len] = '\n';
        text[len + 1] = 0;
        for (const char *p = text; *p;) {
            size_t i = 0;
            while (i < 4 && strncmp(p, values[i], strlen(values[i])) != 0)
                i++;
            size_t at = strlen(want);
            snprintf(want + at, sizeof(want) - at, "%.*s", i < 4 ? 80 : 1, i < 4 ? BLANK_TEXT : p);
            p += i < 4 ? strlen(values[i]) : 1;
        }
        assert_string_equal(blanked(secrets, 4, text, 1 + (size_t)rand() % 9), want);
    }
}

static void a_large_output(void **state)
{
    (void)state;
    static char text[400000];
    char *const secrets[] = {"A=correct horse battery"};
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text + 70000, "correct horse battery", 21);
    memcpy(text + 131060, "correct horse battery", 21);
    const char *got = blanked(secrets, 1, text, 65536);
    assert_null(strstr(got, "horse"));
    assert_int_equal(strlen(got), sizeof(text) - 1 - 2 * (21 - strlen(BLANK_TEXT)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_and_in_pieces),    cmocka_unit_test(what_overlaps_itself),
        cmocka_unit_test(several_lines),          cmocka_unit_test(in_base64),
        cmocka_unit_test(a_beginning_at_the_end), cmocka_unit_test(nothing_to_blank),
        cmocka_unit_test(as_the_plain_way),       cmocka_unit_test(a_large_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
