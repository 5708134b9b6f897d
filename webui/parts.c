#include "webui/parts.h"

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
    const struct tpl_var vars[] = {{"full", v->space.full},
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
