/* Bytes of strangers for the terminal of who looks at them: nothing in them gives it orders. */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* Where in a UTF-8 sequence the last byte stood; zeroed at birth. */
struct terminal {
    unsigned char lead;
    int left; /* bytes of the sequence that are still to come */
};

/* Writes `data` to `out`. Line feeds and tabs stay, other control characters are shown as ^X, those
 * above 0x7f and what is not UTF-8 as "?". 0 or -EIO. */
int terminal_write(struct terminal *t, FILE *out, const char *data, size_t len);
