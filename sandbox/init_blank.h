/* Values of secrets in what a program writes: blanked before they reach the log, also where a value
 * comes in several reads, where one of its lines stands alone, or in base64.
 *
 * What may be the beginning of a value is held back until more comes; the last bytes of an output
 * may so be late. It is no wall against a program that wants to tell: it keeps accidents out of
 * logs. */
#pragma once

#include <stddef.h>

#define BLANK_MIN 4 /* bytes; shorter values would blank half of a log */
#define BLANK_TEXT "[secret]"

struct blank;

/* `secrets`: n strings "NAME=VALUE", which are copied. NULL where nothing is to be blanked, or
 * there is no memory (*failed then). */
struct blank *blank_new(char *const *secrets, size_t n, int *failed);
void blank_free(struct blank *b);

/* Takes what was written; `put` gets what the log may have, in pieces. */
void blank_write(struct blank *b, const char *data, size_t len,
                 void (*put)(void *arg, const char *data, size_t len), void *arg);
/* The end: what was held back, or a mark in its place where it was most of a value's beginning. */
void blank_flush(struct blank *b, void (*put)(void *arg, const char *data, size_t len), void *arg);
