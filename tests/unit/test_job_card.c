/* objects: job/names.o job/front.o job/card.o job/card_keys.o; libs: -lyaml -ljansson */
#include "tests/unit/unit.h"

#include <errno.h>

#include "job/card.h"

static const struct card_hints both = {
    .has_readme = true, .has_app_py = true, .has_index_html = true};

/* The sentence with which a README is refused; "" where it is taken. */
static const char *refusal(const char *readme)
{
    static struct err err;
    struct front_split split;
    struct card card;

    err = (struct err){0};
    int r = card_read(readme, strlen(readme), &both, &card, &split, &err);

    assert_int_equal(r < 0, err.code != 0);
    card_free(&card);
    return err.msg;
}

static void wrong_values_are_named_with_their_line(void **state)
{
    static const char *const cases[][2] = {
        {"---\ntitle: x\nsdk: gradoi\n---\n", "README.md:3: sdk: \"gradoi\" is none of static, "
                                              "gradio, streamlit, python, command, node"},
        {"---\nsdk: docker\n---\n",
         "README.md:2: sdk: \"docker\" is not supported by this version; "
         "use static, gradio, streamlit, python, node or command"},
        {"---\nsdk: [a]\n---\n",
         "README.md:2: sdk: a list is none of static, gradio, streamlit, python, command, node"},
        {"\n\n---\n# a comment\nemoji: hello\n---\n", "README.md:5: emoji: \"hello\" is no emoji"},
        {"---\nsdk: gradio\npreload_from_hub:\n- a/b\n- a/b ../x\n---\n",
         "README.md:5: preload_from_hub: \"a/b ../x\": its list of files (FILE,FILE without "
         "blanks) has one that has no name, or a name that leads elsewhere"},
        {"---\npreload_from_hub: {a: b}\n---\n", "README.md:2: preload_from_hub: a map is no list"},
        {"---\npreload_from_hub: a b c d\n---\n", "README.md:2: preload_from_hub: \"a b c d\": it "
                                                  "is more than REPOSITORY FILE,FILE REVISION"},
        {"---\npreload_from_hub:\n  - [a]\n---\n",
         "README.md:3: preload_from_hub: an entry is no text"},
        {"---\ncolorFrom: Blue\n---\n", "README.md:2: colorFrom: \"Blue\" is none of red, yellow, "
                                        "green, blue, indigo, purple, pink, gray"},
        {"---\napp_port: 80\n---\n", "README.md:2: app_port: \"80\" is no port from 1024 to 65535"},
        {"---\napp_port: 7860.5\n---\n",
         "README.md:2: app_port: \"7860.5\" is no port from 1024 to 65535"},
        {"---\napp_port: \"7860\"\n---\n",
         "README.md:2: app_port: \"7860\" is no port from 1024 to 65535"},
        {"---\napp_file: ../x.py\n---\n",
         "README.md:2: app_file: \"../x.py\": paths with \"..\" are not taken"},
        {"---\napp_file: /x.py\n---\n",
         "README.md:2: app_file: \"/x.py\": absolute paths are not taken"},
        {"---\napp_file: src/\n---\n", "README.md:2: app_file: \"src/\" is no file of the bundle"},
        {"---\nbase_path: app\n---\n",
         "README.md:2: base_path: \"app\" is no path that begins with one \"/\""},
        {"---\nbase_path: //evil\n---\n",
         "README.md:2: base_path: \"//evil\" is no path that begins with one \"/\""},
        {"---\nbase_path: \"/a\\r\\nX: y\"\n---\n",
         "README.md:2: base_path: \"/a\\x0d\\x0aX: y\" is no path of a URL (write other characters "
         "as %XX)"},
        {"---\npinned: maybe\n---\n", "README.md:2: pinned: \"maybe\" is neither true nor false"},
        {"---\nstartup_duration_timeout: soon\n---\n",
         "README.md:2: startup_duration_timeout: \"soon\" is no duration from 1s to 24h (30m, 1h)"},
        {"---\ntags: {a: b}\n---\n", "README.md:2: tags: a map is no list"},
        {"---\ntags:\n- [x]\n---\n", "README.md:2: tags: a list must hold only words"},
        {"---\ntitle: \"a\\nb\"\n---\n",
         "README.md:2: title: \"a\\x0ab\" holds line breaks or control characters"},
        {"---\ncustom_headers:\n  x-powered-by: me\n---\n",
         "README.md:2: custom_headers: \"x-powered-by\" is no header that a Space may set, or has "
         "a "
         "value that it cannot have"},
        {"---\nsdk: command\n---\n",
         "README.md:2: sdk: command needs app_file, the executable to run"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_string_equal(refusal(cases[i][0]), cases[i][1]);
}

static void broken_front_matter_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"---\ntitle: x\n", "README.md:1: the front matter that begins here has no line \"---\""},
        {"---\ntitle: a: b\n---\n", "README.md:2: the front matter is no YAML: mapping values"},
        {"---\ntitle: \"x\n---\n", "README.md:"},
        {"---\n\ttitle: x\n---\n", "README.md:2: the front matter is no YAML"},
        {"---\njust words\n---\n", "README.md:2: the front matter must be lines of"},
        {"---\n- a\n- b\n---\n", "README.md:2: the front matter must be lines of"},
        {"---\ntitle: x\ntitle: y\n---\n", "README.md:3: the key \"title\" is there twice"},
        {"---\na: &x [1]\nb: *x\n---\n", "README.md:3: aliases"},
        {"---\n? [a]\n: b\n---\n", "README.md:2: a key must be a word"},
        {"---\na: \xff\n---\n", "README.md:2: the front matter is not UTF-8"},
        {"---\na: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n---\n", "nested more than 16 deep"},
        {"---\na: b\n...\nc: d\n---\n", "README.md:"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *msg = refusal(cases[i][0]);

        assert_non_null(strstr(msg, cases[i][1]));
        assert_null(strchr(msg, '\n'));
    }
}

static void huge_front_matter_is_refused(void **state)
{
    static char readme[FRONT_MAX + 100] = "---\nx: ";
    size_t n = strlen(readme);

    (void)state;
    memset(readme + n, 'y', FRONT_MAX);
    memcpy(readme + n + FRONT_MAX, "\n---\n", 6);
    assert_non_null(strstr(refusal(readme), "longer than 32 KiB"));
}

/* Reads a README that is fine. */
static void read_card(const char *readme, const struct card_hints *hints, struct card *card,
                      struct front_split *split)
{
    struct err err = {0};
    int r = card_read(readme, strlen(readme), hints, card, split, &err);

    if (r < 0)
        fail_msg("%s", err.msg);
}

static void a_whole_card(void **state)
{
    static const char readme[] = "\xef\xbb\xbf---\r\n"
                                 "title: \"It: works\"\r\n"
                                 "emoji: 👩‍🚀\r\n"
                                 "colorFrom: indigo\r\n"
                                 "colorTo: gray\r\n"
                                 "sdk: streamlit\r\n"
                                 "sdk_version: 1.10\r\n"
                                 "app_file: ./src//main.py\r\n"
                                 "base_path: /ui?__theme=dark\r\n"
                                 "startup_duration_timeout: 90s\r\n"
                                 "thumbnail:\r\n"
                                 "mine: {a: [1, 2.5, null, yes, true]}\r\n"
                                 "---\r\n"
                                 "# Body\r\n---\r\nmore";
    struct front_split split;
    struct card card;

    (void)state;
    read_card(readme, &both, &card, &split);
    assert_string_equal(card.title, "It: works");
    assert_string_equal(card.emoji, "👩‍🚀");
    assert_string_equal(card.color_from, "indigo");
    assert_string_equal(card.color_to, "gray");
    assert_int_equal(card.sdk, CARD_STREAMLIT);
    assert_string_equal(card.app_file, "src/main.py");
    assert_int_equal(card.app_file_line, 8);
    assert_string_equal(card.base_path, "/ui?__theme=dark");
    assert_int_equal(card.app_port, 8501);
    assert_true(card.has_start_timeout);
    assert_int_equal(card.start_timeout_ms, 90000);
    assert_string_equal(json_string_value(json_object_get(card.object, "sdk_version")), "1.10");
    assert_null(json_object_get(card.object, "thumbnail"));
    char *mine = json_dumps(json_object_get(card.object, "mine"), JSON_COMPACT);

    assert_string_equal(mine, "{\"a\":[1,2.5,null,\"yes\",true]}");
    free(mine);
    assert_int_equal(json_array_size(card.warnings), 0);
    assert_int_equal(split.body_len, strlen("# Body\r\n---\r\nmore"));
    assert_memory_equal(split.body, "# Body", 6);
    card_free(&card);
}

static void what_is_not_said_is_guessed(void **state)
{
    static const struct {
        const char *readme;
        struct card_hints hints;
        enum card_sdk sdk;
        const char *app_file, *warning;
    } cases[] = {
        {"", {false, true, false}, CARD_PYTHON, "app.py", "there is no README.md"},
        {"", {false, false, true}, CARD_STATIC, "index.html", "there is no README.md"},
        {"", {false, true, true}, CARD_PYTHON, "app.py", "there is no README.md"},
        {"# Words\n", {true, false, true}, CARD_STATIC, "index.html", "has no front matter"},
        {"---\n---\n", {true, true, false}, CARD_PYTHON, "app.py", "names no sdk"},
        {"---\napp_file: main.py\n---\n", {true, false, false}, CARD_PYTHON, "main.py", "no sdk"},
        {"---\napp_file: a/x.html\n---\n", {true, true, false}, CARD_STATIC, "a/x.html", "no sdk"},
        {"---\nsdk: gradio\n---\n", {true, false, false}, CARD_GRADIO, "app.py", NULL},
        {"---\nsdk: static\n---\n", {true, true, false}, CARD_STATIC, "index.html", NULL},
        {"---\nsdk: gradio\npreload_from_hub: [a/b, \"a/b x,y/z main\"]\n---\n",
         {true, false, false},
         CARD_GRADIO,
         "app.py",
         NULL},
        {"---\nsdk: static\npreload_from_hub: a/b\n---\n",
         {true, true, false},
         CARD_STATIC,
         "index.html",
         "a static Space has no program"},
        {"---\nsdk: static\nthumbnail: https://a.example/x.png\n---\n",
         {true, true, false},
         CARD_STATIC,
         "index.html",
         "thumbnail: a picture elsewhere"},
        {"---\nsdk: static\nthumbnail: x.png\n---\n",
         {true, true, false},
         CARD_STATIC,
         "index.html",
         NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct front_split split;
        struct card card;

        read_card(cases[i].readme, &cases[i].hints, &card, &split);
        assert_int_equal(card.sdk, cases[i].sdk);
        assert_string_equal(card.app_file, cases[i].app_file);
        assert_int_equal(card.app_port, 7860);
        assert_string_equal(card.base_path, "/");
        assert_int_equal(json_array_size(card.warnings), cases[i].warning ? 1 : 0);
        if (cases[i].warning)
            assert_non_null(
                strstr(json_string_value(json_array_get(card.warnings, 0)), cases[i].warning));
        card_free(&card);
    }
}

static void nothing_to_run_is_refused(void **state)
{
    static const struct card_hints nothing = {.has_readme = true};
    struct err err = {0};
    struct front_split split;
    struct card card;

    (void)state;
    assert_int_equal(card_read("", 0, &nothing, &card, &split, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "no app file"));
    card_free(&card);
}

static void default_colors_are_steady(void **state)
{
    struct front_split split;
    struct card a, b;

    (void)state;
    read_card("---\ntitle: One\n---\n", &both, &a, &split);
    read_card("---\ntitle: One\ntags: x\n---\n", &both, &b, &split);
    assert_string_equal(a.color_from, b.color_from);
    assert_string_equal(a.color_to, b.color_to);
    card_free(&a);
    card_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_values_are_named_with_their_line),
        cmocka_unit_test(broken_front_matter_is_refused),
        cmocka_unit_test(huge_front_matter_is_refused),
        cmocka_unit_test(a_whole_card),
        cmocka_unit_test(what_is_not_said_is_guessed),
        cmocka_unit_test(nothing_to_run_is_refused),
        cmocka_unit_test(default_colors_are_steady),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
