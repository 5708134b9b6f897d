/* A Space's card: what the front matter of its README.md says, checked, and what holds where it
 * says nothing. */
#pragma once

#include "common/err.h"
#include "job/front.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum card_sdk {
    CARD_STATIC,
    CARD_GRADIO,
    CARD_STREAMLIT,
    CARD_PYTHON,
    CARD_COMMAND,
    CARD_NODE,
    CARD_NO_SDK
};

enum { CARD_WARNINGS_MAX = 16 };

struct card {
    json_t *object;   /* owned; the whole front matter, unknown keys included */
    json_t *warnings; /* owned; sentences */
    enum card_sdk sdk;
    const char *title, *emoji, *color_from, *color_to, *short_description;
    const char *app_file, *base_path; /* these point into `object` or are constants */
    const char *app_build_command;    /* "" for none */
    unsigned app_file_line;           /* 0 where README.md does not name one */
    unsigned app_port;
    bool has_start_timeout;
    uint64_t start_timeout_ms;
};

/* What a bundle without front matter, or without the key, may be guessed from. */
struct card_hints {
    bool has_readme, has_app_py, has_index_html;
};

/* The whole of it: README text (NUL-terminated, `len` bytes) to card. -EINVAL and one line
 * "README.md:LINE: KEY: reason" where a known key has a wrong value. `*ret` is freed with card_free
 * either way; what it points to lives as long as `readme`. */
int card_read(const char *readme, size_t len, const struct card_hints *hints, struct card *ret,
              struct front_split *ret_split, struct err *err);
void card_free(struct card *card);

/* Adds a sentence for the submitter that is no error. */
void card_warn(struct card *card, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *card_sdk_name(enum card_sdk sdk);
