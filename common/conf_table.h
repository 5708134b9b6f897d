/* The option table as data, for the files of conf alone. */
#pragma once

#include "conf.h"

#include <stddef.h>

enum conf_type { CONF_STR, CONF_BOOL, CONF_INT, CONF_BYTES, CONF_MS, CONF_MILLI };

struct conf_option {
    const char *section, *key;
    enum conf_type type;
    size_t offset; /* of the field in struct conf */
    const char *def;
    uint64_t least, most; /* in the field's unit; not for CONF_STR and CONF_BOOL */
    const char *text;
};

extern const struct conf_option conf_table[]; /* ended by a NULL key */

/* NULL if there is none. `section` need not end with a NUL. */
const struct conf_option *conf_find(const char *section, size_t section_len, const char *key);

/* "512M", "10m", "0.5": as one writes it in the file. */
void conf_value_text(enum conf_type type, uint64_t v, char out[48]);
/* "a size such as 512M, at least 64K" */
void conf_expected(const struct conf_option *o, char out[160]);
