/* Pieces that several pages are made of. */
#pragma once

#include "common/buf.h"
#include "webui/text.h"
#include "webui/tpl.h"
#include "webui/view.h"

/* A colour of Hugging Face's names; "gray" for every other word. */
const char *part_colour(const char *name);
/* The emoji of a Space, or a plain mark where it has none. */
const char *part_emoji(const struct view *v);

/* <li>s of the card's tags, models and datasets; nothing where it has none. 0 or -errno. */
int part_chips(struct buf *out, const char *card);
int part_card(struct buf *out, const struct view *v, struct err *err);
/* The operator's buttons of a Space: which of them are shown, the style says by its stage. */
int part_actions(struct buf *out, const char *full_name, struct err *err);
