#include "job/card_keys.h"

#include "common/preload_entry.h"
#include "common/utf8.h"
#include "common/util.h"
#include "job/card.h"
#include "job/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

int card_check_keys(const struct front *front, struct err *err)
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
