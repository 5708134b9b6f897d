#include "terminal.h"

#include <errno.h>

static int show(struct terminal *t, FILE *out, unsigned char c)
{
    if (c >= 0x80 && c < 0xc0) { /* goes on */
        /* U+0080 to U+009F are control characters: c2 80 to c2 9f */
        if (t->left == 0)
            return fputc('?', out);
        if (t->lead == 0xc2) {
            t->left = 0;
            return c < 0xa0 ? fputc('?', out) : fputc(t->lead, out) == EOF ? EOF : fputc(c, out);
        }
        t->left--;
        return fputc(c, out);
    }
    t->left = c < 0xc2 || c > 0xf4 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    t->lead = c;
    if (t->left)
        return c == 0xc2 ? 0 : fputc(c, out); /* c2 waits for what follows */
    if (c >= 0x80)
        return fputc('?', out);
    if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
        return fputc('^', out) == EOF ? EOF : fputc(c ^ 0x40, out);
    return fputc(c, out);
}

int terminal_write(struct terminal *t, FILE *out, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (show(t, out, (unsigned char)data[i]) == EOF)
            return -EIO;
    }
    return 0;
}
