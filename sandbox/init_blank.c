#include "init_blank.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PATTERNS_MAX 2048
#define LINE_MIN 8 /* of a value of several lines, shorter ones ("{", "----") are nothing of it */

struct pattern {
    char *text;
    size_t len;
};

struct blank {
    struct pattern patterns[PATTERNS_MAX]; /* by first byte, the longest first */
    size_t n;
    uint16_t first[257]; /* of each byte, where its patterns begin */
    size_t longest;
    char *held; /* a beginning of some pattern, shorter than the longest; then room for a piece */
    size_t n_held, room;
};

/* Where there is no place for more, its other forms go unblanked, never a value. */
static bool add(struct blank *b, const char *text, size_t len)
{
    if (len < BLANK_MIN || b->n == PATTERNS_MAX)
        return true;
    for (size_t i = 0; i < b->n; i++)
        if (b->patterns[i].len == len && memcmp(b->patterns[i].text, text, len) == 0)
            return true;
    struct pattern *p = &b->patterns[b->n];
    p->text = malloc(len);
    if (!p->text)
        return false;
    memcpy(p->text, text, len);
    p->len = len;
    b->n++;
    if (len > b->longest)
        b->longest = len;
    return true;
}

static bool add_lines(struct blank *b, const char *value)
{
    if (!strchr(value, '\n'))
        return true;
    for (const char *p = value; *p;) {
        size_t len = strcspn(p, "\r\n");
        if (len >= LINE_MIN && !add(b, p, len))
            return false;
        p += len;
        p += strspn(p, "\r\n");
    }
    return true;
}

/* Without the last digits, which depend on what follows it. */
static bool add_base64(struct blank *b, const char *value, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t groups = len / 3;
    if (groups < 2)
        return true;
    char *text = malloc(groups * 4);
    if (!text)
        return false;
    for (size_t i = 0; i < groups; i++) {
        const unsigned char *in = (const unsigned char *)value + 3 * i;
        uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        for (int k = 0; k < 4; k++)
            text[4 * i + (size_t)k] = digits[bits >> (18 - 6 * k) & 63];
    }
    bool ok = add(b, text, groups * 4);
    explicit_bzero(text, groups * 4);
    free(text);
    return ok;
}

static int by_first_and_length(const void *x, const void *y)
{
    const struct pattern *a = x, *b = y;
    int d = (unsigned char)a->text[0] - (unsigned char)b->text[0];
    return d ? d : (a->len < b->len) - (a->len > b->len);
}

static bool add_value(struct blank *b, const char *value, int form)
{
    /* programs print a value without the newlines at its ends */
    value += strspn(value, "\r\n");
    size_t len = strlen(value);
    while (len && strchr("\r\n", value[len - 1]))
        len--;
    if (len < BLANK_MIN)
        return true;
    return form == 0   ? add(b, value, len)
           : form == 1 ? add_lines(b, value)
                       : add_base64(b, value, len);
}

static bool index_patterns(struct blank *b)
{
    qsort(b->patterns, b->n, sizeof(*b->patterns), by_first_and_length);
    for (size_t c = 0, i = 0; c <= 256; c++) {
        while (i < b->n && (unsigned char)b->patterns[i].text[0] < c)
            i++;
        b->first[c] = (uint16_t)i;
    }
    b->room = b->longest + 65536;
    b->held = malloc(b->room);
    return b->held != NULL;
}

struct blank *blank_new(char *const *secrets, size_t n, int *failed)
{
    struct blank *b = n ? calloc(1, sizeof(*b)) : NULL;
    bool ok = b != NULL;
    *failed = n && !b;
    for (int form = 0; ok && form < 3; form++) /* the values themselves have places first */
        for (size_t i = 0; ok && i < n; i++) {
            const char *equals = strchr(secrets[i], '=');
            ok = !equals || add_value(b, equals + 1, form);
        }
    if (ok && b->n && index_patterns(b))
        return b;
    *failed = *failed || (b && (!ok || b->n));
    blank_free(b);
    return NULL;
}

void blank_free(struct blank *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++) {
        explicit_bzero(b->patterns[i].text, b->patterns[i].len);
        free(b->patterns[i].text);
    }
    free(b->held);
    free(b);
}

enum found { NOTHING, WHOLE, BEGINNING };

/* What of the patterns stands at `p`; *len is the length of a whole one. */
static enum found look(const struct blank *b, const char *p, size_t left, size_t *len)
{
    unsigned char c = (unsigned char)*p;
    for (size_t i = b->first[c]; i < b->first[c + 1]; i++) {
        const struct pattern *t = &b->patterns[i];
        if (t->len > left) {
            if (memcmp(t->text, p, left) == 0)
                return BEGINNING;
        } else if (memcmp(t->text, p, t->len) == 0) {
            *len = t->len;
            return WHOLE;
        }
    }
    return NOTHING;
}

/* Up to what may be a beginning, or `all`: returns how much was used up. */
static size_t scan(const struct blank *b, const char *data, size_t len, bool all,
                   void (*put)(void *arg, const char *data, size_t len), void *arg)
{
    size_t from = 0, i = 0;
    while (i < len) {
        size_t n = 1;
        enum found f = look(b, data + i, len - i, &n);
        if (f == BEGINNING && !all)
            break;
        if (f == BEGINNING && len - i >= BLANK_MIN) { /* most of it would tell, too */
            f = WHOLE;
            n = len - i;
        }
        if (f == WHOLE) {
            if (i > from)
                put(arg, data + from, i - from);
            put(arg, BLANK_TEXT, sizeof(BLANK_TEXT) - 1);
            from = i + n;
        }
        i += f == WHOLE ? n : 1;
    }
    if (i > from)
        put(arg, data + from, i - from);
    return i;
}

void blank_write(struct blank *b, const char *data, size_t len,
                 void (*put)(void *arg, const char *data, size_t len), void *arg)
{
    while (len) {
        size_t n = b->room - b->n_held;
        n = n < len ? n : len;
        memcpy(b->held + b->n_held, data, n);
        data += n;
        len -= n;
        b->n_held += n;
        size_t used = scan(b, b->held, b->n_held, false, put, arg);
        b->n_held -= used;
        memmove(b->held, b->held + used, b->n_held);
    }
}

void blank_flush(struct blank *b, void (*put)(void *arg, const char *data, size_t len), void *arg)
{
    scan(b, b->held, b->n_held, true, put, arg);
    b->n_held = 0;
}
