#include "webui/parts.h"

#include "webui/thumbnail.h"

#include <string.h>

const char *part_colour(const char *name)
{
    static const char *const colours[] = {"red",    "yellow", "green", "blue",
                                          "indigo", "purple", "pink",  "gray"};
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (strcmp(name, colours[i]) == 0)
            return colours[i];
    return "gray";
}

const char *part_emoji(const struct view *v)
{
    return *v->space.emoji ? v->space.emoji : "◆";
}

int part_card(struct buf *out, const struct view *v, struct err *err)
{
    char ago[32];
    text_ago((uint64_t)v->space.updated_ms, ago);
    char picture[400];
    thumbnail_url(&v->space, picture);
    const struct tpl_var vars[] = {
        {"full", v->space.full},
        {"picture", picture},
        {"pinned", v->space.pinned ? "1" : ""},
        {"private", strcmp(v->space.visibility, "private") == 0 ? "1" : ""},
        {"title", v->title},
        {"emoji", part_emoji(v)},
        {"from", part_colour(v->space.color_from)},
        {"to", part_colour(v->space.color_to)},
        {"description", v->space.short_description},
        {"class", stage_class(v->stage)},
        {"word", stage_word(v->stage)},
        {"ago", ago},
        {0}};
    return tpl_render(out, "card.html", vars, err);
}

int part_actions(struct buf *out, const char *full_name, struct err *err)
{
    const struct tpl_var vars[] = {{"full", full_name}, {0}};
    return tpl_render(out, "actions.html", vars, err);
}

#define CHIPS_MAX 30 /* of each kind */

/* One alone may be written without a list. Names of models are links to where they are. */
static int chips_of(struct buf *out, const json_t *found, const char *link)
{
    size_t n = json_is_string(found) ? 1 : json_array_size(found);
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n && i < CHIPS_MAX; i++) {
        const char *text =
            json_string_value(json_is_string(found) ? found : json_array_get(found, i));
        if (!text || !*text || strlen(text) > 200)
            continue;
        bool linked = link && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                           "0123456789-_./") == strlen(text);
        r = linked
                ? buf_printf(out, "<li><a href=\"%s%s\" rel=\"noopener noreferrer\">", link, text)
                : buf_puts(out, "<li>");
        if (r >= 0)
            r = buf_html(out, text);
        if (r >= 0)
            r = buf_puts(out, linked ? "</a></li>" : "</li>");
    }
    return r < 0 ? r : 0;
}

int part_chips(struct buf *out, const char *card)
{
    json_t *o = json_loads(card, 0, NULL);
    int r = chips_of(out, json_object_get(o, "tags"), NULL);
    if (r == 0)
        r = chips_of(out, json_object_get(o, "models"), "https://huggingface.co/");
    if (r == 0)
        r = chips_of(out, json_object_get(o, "datasets"), "https://huggingface.co/datasets/");
    json_decref(o);
    return r;
}
