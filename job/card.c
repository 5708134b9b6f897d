#include "job/card.h"

#include "common/cleanup.h"
#include "common/preload_entry.h"
#include "common/utf8.h"
#include "common/util.h"
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

/* --- kinds of values --- */

/* A key whose value is being checked. */
struct value {
    const struct front_key *key;
    json_t *json;
    const char *raw; /* as written; NULL for lists and maps */
};

/* "README.md:5: sdk: "gradoi" WHY" */
static int wrong(const struct value *v, struct err *err, const char *why)
{
    char quoted[NAMES_QUOTED_MAX];

    if (v->raw)
        return err_set(err, EINVAL, "README.md:%u: %s: %s %s", v->key->line, v->key->name,
                       names_quote(v->raw, quoted), why);
    return err_set(err, EINVAL, "README.md:%u: %s: a %s %s", v->key->line, v->key->name,
                   json_is_array(v->json) ? "list" : "map", why);
}

static size_t utf8_chars(const char *s)
{
    size_t n = 0;

    while (*s) {
        size_t len = utf8_len(s);

        s += len ? len : 1;
        n++;
    }
    return n;
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

static int check_text(const struct value *v, size_t max_chars, struct err *err)
{
    char why[64];

    if (!v->raw)
        return wrong(v, err, "is no text");
    if (has_control(v->raw))
        return wrong(v, err, "holds line breaks or control characters");
    if (utf8_chars(v->raw) > max_chars) {
        snprintf(why, sizeof(why), "is longer than %zu characters", max_chars);
        return wrong(v, err, why);
    }
    return 0;
}

static int check_title(const struct value *v, struct err *err)
{
    return check_text(v, 120, err);
}

static int check_sentence(const struct value *v, struct err *err)
{
    return check_text(v, 300, err);
}

static int check_any_text(const struct value *v, struct err *err)
{
    return check_text(v, 2000, err);
}

static int check_version(const struct value *v, struct err *err)
{
    int r = check_text(v, 40, err);

    if (r == 0 && strspn(v->raw, "0123456789abcdefghijklmnopqrstuvwxyz.+-_") != strlen(v->raw))
        r = wrong(v, err, "is no version");
    return r;
}

/* One or a few pictographs: no ASCII but in a keycap (3 + U+FE0F + U+20E3). */
static int check_emoji(const struct value *v, struct err *err)
{
    if (!v->raw || strlen(v->raw) > 48 || (unsigned char)v->raw[0] < 0x20)
        return wrong(v, err, "is no emoji");
    for (const char *p = v->raw; *p;) {
        size_t n = utf8_len(p);

        if (n == 0 || (n == 1 && (!strchr("0123456789#*", *p) || (unsigned char)p[1] < 0xe2)))
            return wrong(v, err, "is no emoji");
        p += n;
    }
    return 0;
}

static int check_word(const struct value *v, const char *const *words, const char *why,
                      struct err *err)
{
    if (v->raw)
        for (; *words; words++)
            if (strcmp(v->raw, *words) == 0)
                return 0;
    return wrong(v, err, why);
}

static int check_color(const struct value *v, struct err *err)
{
    static const char *const colors[] = {"red",    "yellow", "green", "blue", "indigo",
                                         "purple", "pink",   "gray",  NULL};

    return check_word(v, colors, "is none of red, yellow, green, blue, indigo, purple, pink, gray",
                      err);
}

static int check_sdk(const struct value *v, struct err *err)
{
    static const char *const names[] = {"static",  "gradio", "streamlit", "python",
                                        "command", "node",   NULL};

    if (v->raw && strcmp(v->raw, "docker") == 0)
        return wrong(v, err,
                     "is not supported by this version; use static, gradio, streamlit, "
                     "python, node or command");
    return check_word(v, names, "is none of static, gradio, streamlit, python, command, node", err);
}

static int check_app_file(const struct value *v, struct err *err)
{
    char clean[NAMES_PATH_MAX + 1];
    struct err why = {0};

    if (!v->raw)
        return wrong(v, err, "is no path");
    if (names_clean(v->raw, clean, &why) < 0)
        return err_set(err, EINVAL, "README.md:%u: %s: %s", v->key->line, v->key->name, why.msg);
    if (!*clean || v->raw[strlen(v->raw) - 1] == '/')
        return wrong(v, err, "is no file of the bundle");
    if (strcmp(clean, v->raw) != 0 && json_string_set(v->json, clean) < 0)
        return err_set(err, ENOMEM, "out of memory");
    return 0;
}

static int check_port(const struct value *v, struct err *err)
{
    json_int_t port = json_integer_value(v->json);

    if (!json_is_integer(v->json) || port < 1024 || port > 65535)
        return wrong(v, err, "is no port from 1024 to 65535");
    return 0;
}

/* It goes into the request line of the readiness probe and into links. */
static int check_base_path(const struct value *v, struct err *err)
{
    if (!v->raw || v->raw[0] != '/' || v->raw[1] == '/')
        return wrong(v, err, "is no path that begins with one \"/\"");
    if (strlen(v->raw) > 512)
        return wrong(v, err, "is longer than 512 bytes");
    for (const char *p = v->raw; *p; p++)
        if (*p <= ' ' || *p > '~' || strchr("\\#\"<>", *p))
            return wrong(v, err, "is no path of a URL (write other characters as %XX)");
    return 0;
}

static int check_bool(const struct value *v, struct err *err)
{
    return json_is_boolean(v->json) ? 0 : wrong(v, err, "is neither true nor false");
}

static int check_header(const struct value *v, struct err *err)
{
    static const char *const words[] = {"default", "mini", NULL};

    return check_word(v, words, "is none of default, mini", err);
}

/* A list of texts, or one text. */
static int check_list(const struct value *v, struct err *err)
{
    size_t i;
    json_t *item;

    if (v->raw)
        return check_any_text(v, err);
    if (!json_is_array(v->json))
        return wrong(v, err, "is no list");
    json_array_foreach(v->json, i,
                       item) if (json_is_object(item) ||
                                 json_is_array(item)) return wrong(v, err, "must hold only words");
    return 0;
}

static int check_timeout(const struct value *v, struct err *err)
{
    uint64_t ms;

    if (!v->raw || parse_duration_ms(v->raw, &ms) < 0 || ms < 1000 || ms > 24 * 3600 * 1000ULL)
        return wrong(v, err, "is no duration from 1s to 24h (30m, 1h)");
    return 0;
}

static int check_minutes(const struct value *v, struct err *err)
{
    return json_is_integer(v->json) && json_integer_value(v->json) > 0
               ? 0
               : wrong(v, err, "is no number of minutes");
}

static int check_storage(const struct value *v, struct err *err)
{
    static const char *const words[] = {"small", "medium", "large", NULL};

    return check_word(v, words, "is none of small, medium, large", err);
}

static int check_preload_entry(const struct value *v, const json_t *item, unsigned line,
                               struct err *err)
{
    struct preload_entry entry;
    char quoted[NAMES_QUOTED_MAX];
    struct err why = {0};
    const char *text = json_is_string(item) ? json_string_value(item) : NULL;

    if (!text)
        return err_set(err, EINVAL, "README.md:%u: %s: an entry is no text", line, v->key->name);
    if (preload_entry_parse(text, &entry, &why) == 0)
        return 0;
    return err_set(err, EINVAL, "README.md:%u: %s: %s: %s", line, v->key->name,
                   names_quote(text, quoted), why.msg);
}

/* A list of entries, or one. */
static int check_preload(const struct value *v, struct err *err)
{
    size_t i;
    json_t *item;

    if (json_is_string(v->json))
        return check_preload_entry(v, v->json, v->key->line, err);
    if (!json_is_array(v->json))
        return wrong(v, err, "is no list");
    if (json_array_size(v->json) > PRELOAD_ENTRIES_MAX)
        return wrong(v, err, "has more than 64 entries");
    json_array_foreach(v->json, i, item)
    {
        unsigned line = i < v->key->n_items ? v->key->item_lines[i] : v->key->line;
        int r = check_preload_entry(v, item, line, err);

        if (r < 0)
            return r;
    }
    return 0;
}

/* The three headers that Hugging Face lets a Space set, with the values they can have. */
static int check_headers(const struct value *v, struct err *err)
{
    static const struct {
        const char *name, *values;
    } allowed[] = {
        {"cross-origin-embedder-policy", " unsafe-none require-corp credentialless "},
        {"cross-origin-opener-policy",
         " same-origin same-origin-allow-popups noopener-allow-popups unsafe-none "},
        {"cross-origin-resource-policy", " same-site same-origin cross-origin "},
    };
    const char *name;
    json_t *item;

    if (!json_is_object(v->json))
        return wrong(v, err, "is no map of header names and values");
    json_object_foreach(v->json, name, item)
    {
        char quoted[NAMES_QUOTED_MAX], word[64];
        bool ok = false;

        if (!json_is_string(item) || json_string_length(item) > 40 ||
            strchr(json_string_value(item), ' '))
            snprintf(word, sizeof(word), "-");
        else
            snprintf(word, sizeof(word), " %s ", json_string_value(item));
        for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
            ok = ok || (!strcmp(name, allowed[i].name) && strstr(allowed[i].values, word));
        if (!ok)
            return err_set(err, EINVAL,
                           "README.md:%u: %s: %s is no header that a Space may set, or has a value "
                           "that it cannot have",
                           v->key->line, v->key->name, names_quote(name, quoted));
    }
    return 0;
}

/* --- the keys --- */

static const struct known_key {
    const char *name;
    int (*check)(const struct value *v, struct err *err);
    bool text; /* `python_version: 3.10` is the text 3.10, not the number 3.1 */
} known_keys[] = {
    {"title", check_title, true},
    {"emoji", check_emoji, true},
    {"colorFrom", check_color, true},
    {"colorTo", check_color, true},
    {"short_description", check_sentence, true},
    {"sdk", check_sdk, true},
    {"sdk_version", check_version, true},
    {"python_version", check_version, true},
    {"app_file", check_app_file, true},
    {"app_port", check_port, false},
    {"base_path", check_base_path, true},
    {"app_build_command", check_any_text, true},
    {"fullWidth", check_bool, false},
    {"header", check_header, true},
    {"thumbnail", check_any_text, true},
    {"tags", check_list, false},
    {"models", check_list, false},
    {"datasets", check_list, false},
    {"pinned", check_bool, false},
    {"license", check_list, false},
    {"hf_oauth", check_bool, false},
    {"hf_oauth_scopes", check_list, false},
    {"hf_oauth_expiration_minutes", check_minutes, false},
    {"disable_embedding", check_bool, false},
    {"startup_duration_timeout", check_timeout, true},
    {"custom_headers", check_headers, false},
    {"preload_from_hub", check_preload, false},
    {"suggested_hardware", check_any_text, true},
    {"suggested_storage", check_storage, true},
};

/* Checks every known key. One without a value (`thumbnail:`) counts as not there. */
static int check_keys(const struct front *front, struct err *err)
{
    for (size_t i = 0; i < sizeof(known_keys) / sizeof(*known_keys); i++) {
        const struct known_key *known = &known_keys[i];
        const struct front_key *key = front_key(front, known->name);
        json_t *json = json_object_get(front->object, known->name);

        if (!key)
            continue;
        if (json_is_null(json) || (key->raw && !*key->raw)) {
            json_object_del(front->object, known->name);
            continue;
        }
        if (known->text && key->raw && !json_is_string(json)) {
            json = json_string(key->raw);
            if (!json || json_object_set_new(front->object, known->name, json) < 0)
                return err_set(err, ENOMEM, "out of memory");
        }
        int r = known->check(&(struct value){.key = key, .json = json, .raw = key->raw}, err);

        if (r < 0)
            return r;
    }
    return 0;
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
        r = check_keys(&front, err);
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
