/* What a path inside a bundle may be. Archives come from strangers, so a path is either taken as it
 * is meant or refused; nothing is repaired. Pure functions: no files are touched. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    NAMES_PATH_MAX = 1024,     /* bytes of a whole path, without the NUL */
    NAMES_COMPONENT_MAX = 255, /* what file systems take */
    NAMES_DEPTH_MAX = 64,      /* folders above a file */
    NAMES_QUOTED_MAX = 160,    /* what names_quote needs */
};

/* Brings `path` of an archive into the one form that the rest of the program knows: relative,
 * components separated by one '/', none of them "." or "..", no '/' at the end, valid UTF-8 without
 * control characters or backslashes. `out` becomes "" for the top folder itself ("./").
 * -EINVAL with the reason: empty, absolute, "..", too long, too deep, not UTF-8, ... */
int names_clean(const char *path, char out[NAMES_PATH_MAX + 1], struct err *err);

/* Whether a clean path is litter that every archiver of some system adds and no demo needs:
 * __MACOSX, .DS_Store, AppleDouble files (._x), and a .git folder, whose history may hold what was
 * never meant to be shown. */
bool names_is_litter(const char *clean);

/* Writes `name` with quotes, for a message: control characters and bytes that are not UTF-8 as
 * \xNN, cut with "..." where it is long. Returns `out`. */
const char *names_quote(const char *name, char out[NAMES_QUOTED_MAX]);
