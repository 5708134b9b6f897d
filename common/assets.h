/* Files that are compiled into a program: what lies below FOLDER/pages and FOLDER/static becomes
 * the table `FOLDER_assets` (common/embed.sh writes it at build time, the Makefile links it in). A
 * program declares its own: extern const struct asset webui_assets[]; */
#pragma once

#include <stddef.h>

struct asset {
    const char *name;          /* relative to the folder: "pages/space.html" */
    const unsigned char *data; /* followed by a NUL that len does not count */
    size_t len;
};

/* NULL if the table, which a NULL name ends, has no such name. */
const struct asset *asset_find(const struct asset *table, const char *name);
