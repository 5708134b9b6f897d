/* The three header fields that a Space's `custom_headers` may set, and their values, by number:
 * what a card, site.db and ROUTE have of them. Names and values are those of the HTML standard's
 * cross-origin policies. */
#pragma once

enum custom_header { HEADER_COEP, HEADER_COOP, HEADER_CORP, HEADER_COUNT };

/* "cross-origin-embedder-policy" */
extern const char *const custom_header_names[HEADER_COUNT];

/* The number of a name, HEADER_COUNT where it is none of them; letters' case aside. */
enum custom_header custom_header_find(const char *name);
/* The number of a value, from 1 on, or 0 where the header has no such value. */
unsigned custom_header_value(enum custom_header which, const char *value);
/* The value of a number, or NULL. */
const char *custom_header_text(enum custom_header which, unsigned number);
