/* A page of the program of `vitrine dev` for a browser: with a script at its end that reloads it
 * when the program has been started anew. */
#pragma once

#include "common/http1.h"

#include <stdbool.h>
#include <stdint.h>

#define DEVPAGE_EVENTS "/.vitrine-dev"    /* the event stream that the script listens to */
#define DEVPAGE_SCRIPT "/.vitrine-dev.js" /* an address, as a page may forbid scripts in itself */

/* Whether a browser asks for a page that people will see: not what a page asks for by itself. */
bool devpage_is_wanted(const struct http1_head *h, const char *p);

/* Asks the program, on the connection `program`, which becomes this function's, for what the
 * request wants, and hands the answer to `visitor`; the connection ends with it. `of` is what the
 * event stream says as long as the page is that of the program that runs. */
void devpage_carry(int visitor, int program, const struct http1_head *h, const char *p,
                   uint64_t of);

/* The script itself, as an answer. */
void devpage_script(int visitor);
