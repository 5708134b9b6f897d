/* The character-level language model that train.py writes (the file's layout is described there),
 * mapped into memory and read in place. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { MODEL_ORDER_MAX = 7, MODEL_SYMBOLS_MAX = 256 };

struct model {
    const unsigned char *map; /* owned */
    size_t map_len;
    unsigned order, symbols, slots, trained, contexts;
    float held_out_bits; /* per character, as train.py measured it */
    float discounts[MODEL_ORDER_MAX + 1];
    const unsigned char *alphabet;
    const unsigned char *table, *records;
    uint32_t records_len;
};

/* The last characters before the next one. */
struct context {
    unsigned char text[MODEL_ORDER_MAX];
    unsigned len;
};

/* 0 or a negative errno; -EINVAL for a file that is no model or is damaged. */
int model_open(struct model *model, const char *path);
void model_close(struct model *model);

/* The symbol of a character, or -1. */
int model_symbol(const struct model *model, unsigned char c);

void context_push(const struct model *model, struct context *context, unsigned char c);

/* How likely each symbol comes next; the sum is 1 within rounding. */
void model_predict(const struct model *model, const struct context *context, float *ret);

/* Draws a symbol. `temperature` sharpens (below 1) or flattens (above 1) what is likely; `uniform`
 * is in [0, 1). */
unsigned model_draw(const struct model *model, const float *probabilities, float temperature,
                    float uniform);
