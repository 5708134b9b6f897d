#include "job/card.h"

#include "common/cleanup.h"
#include "common/utf8.h"
#include "common/util.h"
#include "job/card_keys.h"
#include "job/names.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const sdk_names[] = {
    [CARD_STATIC] = "static", [CARD_GRADIO] = "gradio",   [CARD_STREAMLIT] = "streamlit",
    [CARD_PYTHON] = "python", [CARD_COMMAND] = "command", [CARD_NODE] = "node",
};

const char *card_sdk_name(enum card_sdk sdk)
{
    return sdk < CARD_NO_SDK ? sdk_names[sdk] : "";
}

void card_warn(struct card *card, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (card->warnings && json_array_size(card->warnings) < CARD_WARNINGS_MAX)
        json_array_append_new(card->warnings, json_string(text));
}

/* --- what holds where nothing is said --- */

static const char *text_or(const struct card *card, const char *key, const char *otherwise)
{
    const char *s = json_string_value(json_object_get(card->object, key));

    return s ? s : otherwise;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n > m && strcmp(s + n - m, end) == 0;
}

static int choose_sdk(struct card *card, const struct card_hints *hints, bool has_front,
                      struct err *err)
{
    const char *named = text_or(card, "sdk", NULL);

    for (int i = 0; named && i < CARD_NO_SDK; i++)
        if (strcmp(named, sdk_names[i]) == 0) {
            card->sdk = (enum card_sdk)i;
            return 0;
        }
    const char *missing = !hints->has_readme ? "there is no README.md"
                          : !has_front       ? "README.md has no front matter"
                                             : "README.md names no sdk";

    const char *file = text_or(card, "app_file",
                               hints->has_app_py       ? "app.py"
                               : hints->has_index_html ? "index.html"
                                                       : "");

    if (ends_with(file, ".py")) {
        card->sdk = CARD_PYTHON;
        card_warn(card, "%s: taken as sdk: python because of %s", missing, file);
    } else if (ends_with(file, ".html")) {
        card->sdk = CARD_STATIC;
        card_warn(card, "%s: taken as sdk: static because of %s", missing, file);
    } else {
        return err_set(err, EINVAL,
                       "no app file: %s, and the bundle has neither index.html nor app.py at its "
                       "top",
                       missing);
    }
    return 0;
}

/* Something to look at for those who chose nothing: steady for a title, different between two. */
static const char *default_color(const char *title, unsigned salt)
{
    static const char *const colors[] = {"red",    "yellow", "green", "blue",
                                         "indigo", "purple", "pink"};
    uint32_t h = 2166136261u + salt * 97;

    for (; *title; title++)
        h = (h ^ (unsigned char)*title) * 16777619u;
    return colors[h % 7];
}

static int fill_in(struct card *card, const struct front *front, struct err *err)
{
    static const char *const emojis[] = {
        [CARD_STATIC] = "📄", [CARD_GRADIO] = "🎛️", [CARD_STREAMLIT] = "🎈",
        [CARD_PYTHON] = "🐍", [CARD_COMMAND] = "⚙️", [CARD_NODE] = "🟢"};
    const struct front_key *app_file = front_key(front, "app_file");
    const char *timeout = text_or(card, "startup_duration_timeout", NULL);
    json_t *port = json_object_get(card->object, "app_port");

    if (card->sdk == CARD_STATIC && json_object_get(card->object, "preload_from_hub"))
        card_warn(card, "preload_from_hub: nothing is fetched, since a static Space has no program "
                        "that reads it");
    if (strstr(text_or(card, "thumbnail", ""), "://"))
        card_warn(card, "thumbnail: a picture elsewhere is not shown; name a PNG, JPEG, GIF or "
                        "WebP file of the bundle");
    card->title = text_or(card, "title", "");
    card->emoji = text_or(card, "emoji", emojis[card->sdk]);
    card->color_from = text_or(card, "colorFrom", default_color(card->title, 1));
    card->color_to = text_or(card, "colorTo", default_color(card->title, 2));
    card->short_description = text_or(card, "short_description", "");
    card->base_path = text_or(card, "base_path", "/");
    card->app_build_command = text_or(card, "app_build_command", "");
    card->app_file = text_or(card, "app_file", NULL);
    card->app_port = port                          ? (unsigned)json_integer_value(port)
                     : card->sdk == CARD_STREAMLIT ? 8501
                                                   : 7860;
    if (timeout)
        card->has_start_timeout = parse_duration_ms(timeout, &card->start_timeout_ms) == 0;
    if (card->app_file) {
        card->app_file_line = app_file->line;
    } else if (card->sdk == CARD_COMMAND) {
        const struct front_key *sdk = front_key(front, "sdk");

        return err_set(err, EINVAL,
                       "README.md:%u: sdk: command needs app_file, the executable to run",
                       sdk ? sdk->line : 1);
    } else {
        card->app_file = card->sdk == CARD_STATIC ? "index.html"
                         : card->sdk == CARD_NODE ? "package.json" /* what `npm start` runs */
                                                  : "app.py";
    }
    return 0;
}

int card_read(const char *readme, size_t len, const struct card_hints *hints, struct card *ret,
              struct front_split *ret_split, struct err *err)
{
    _cleanup_(front_free) struct front front = {0};
    int r;

    *ret = (struct card){.sdk = CARD_NO_SDK, .warnings = json_array()};
    if (!ret->warnings)
        return err_set(err, ENOMEM, "out of memory");
    r = front_split(readme, len, ret_split, err);
    if (r == 0)
        r = front_parse(ret_split->found ? ret_split->yaml : "", ret_split->yaml_len,
                        ret_split->yaml_line, &front, err);
    if (r == 0)
        r = card_check_keys(&front, err);
    if (r < 0)
        return r;
    ret->object = json_incref(front.object);
    r = choose_sdk(ret, hints, ret_split->found, err);
    return r < 0 ? r : fill_in(ret, &front, err);
}

void card_free(struct card *card)
{
    json_decref(card->object);
    json_decref(card->warnings);
    *card = (struct card){0};
}
