/* Configuration: one INI file, one table of options (conf_options.h), one struct.
 *
 * `vitrine up` loads the file, applies the command line and hands the effective configuration to
 * the other programs as a sealed memfd (conf_to_fd), so that none of them opens a path for it. */
#pragma once

#include "conf_options.h"
#include "err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONF_CTYPE_STR char *
#define CONF_CTYPE_BOOL bool
#define CONF_CTYPE_INT uint64_t
#define CONF_CTYPE_BYTES uint64_t
#define CONF_CTYPE_MS uint64_t
#define CONF_CTYPE_MILLI uint64_t

struct conf {
#define X(section, key, type, def, min, max, text) CONF_CTYPE_##type section##_##key;
    CONF_OPTIONS(X)
#undef X
};

/* All defaults. 0 or -ENOMEM. The strings are owned by the struct. */
int conf_init(struct conf *c);
void conf_free(struct conf *c);

/* Reads an INI file over what is there. A message names file, line, section.key, the value and what
 * is right: unknown keys and wrong values are errors. */
int conf_load(struct conf *c, const char *path, struct err *err);

/* Sets one option by "section.key"; `where` opens the message ("--listen", "vitrine.ini:3"). */
int conf_set(struct conf *c, const char *key, const char *value, const char *where,
             struct err *err);

/* gateway.threads: 0 for auto, CONF_THREADS_MAX + 1 for what is no number of threads. */
unsigned conf_threads(const char *text);

/* What hangs together (listen beyond loopback, log.level's word, ...). */
int conf_check(const struct conf *c, struct err *err);

/* The effective configuration as a sealed memfd, and back. */
int conf_to_fd(const struct conf *c, struct err *err);
int conf_from_fd(struct conf *c, int fd, struct err *err);

/* The commented sample file / the man page's option list, from the table. */
void conf_write_sample(FILE *f);
void conf_write_man(FILE *f);
