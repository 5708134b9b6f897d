#include "job/ndjson.h"

#include "common/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 16, DECODED = 48 * 1024 };

enum where { OUTSIDE, IN_STRING, IN_CONTENT };

struct ndjson {
    struct ndjson_calls calls;
    struct buf line; /* what was read of it; the content left out */
    unsigned number; /* of the line, from 1 */
    enum where where;
    bool escaped;
    unsigned depth;
    char string[KEY_MAX]; /* the string that was read last, as it was written; cut */
    size_t string_len;
    bool after_colon; /* a value is to come */
    bool has_content;
    /* base64 */
    unsigned bits;
    unsigned digits, padding; /* of the group of four */
    bool first;
    unsigned char out[DECODED];
    size_t out_len;
};

void ndjson_free(struct ndjson *n)
{
    if (n)
        buf_free(&n->line);
    free(n);
}

static int wrong(const struct ndjson *n, const char *why, struct err *err)
{
    return err_set(err, EINVAL, "line %u of the commit: %s", n->number, why);
}

static int keep(struct ndjson *n, const char *data, size_t len, struct err *err)
{
    return buf_append(&n->line, data, len) < 0 ? wrong(n, "it is longer than 64 KiB", err) : 0;
}

/* ---- base64 (RFC 4648, section 4) ---- */

static signed char values[256]; /* of each digit, -1 where it is none */

static void make_values(void)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    memset(values, -1, sizeof(values));
    for (int i = 0; i < 64; i++)
        values[(unsigned char)digits[i]] = (signed char)i;
}

static int value_of(unsigned char c)
{
    return values[c];
}

static int flush(struct ndjson *n, struct err *err)
{
    int r = n->calls.content(n->calls.arg, n->first, n->out, n->out_len, err);

    n->first = false;
    n->out_len = 0;
    return r;
}

static int decode(struct ndjson *n, char c, struct err *err)
{
    int v = value_of((unsigned char)c);

    if (c == '=' && n->digits >= 2) {
        n->padding++;
        n->bits <<= 6;
    } else if (v < 0 || n->padding) {
        return wrong(n, "its content is no base64", err);
    } else {
        n->bits = n->bits << 6 | (unsigned)v;
    }
    if (++n->digits < 4)
        return 0;
    if (n->out_len + 3 > sizeof(n->out)) {
        int r = flush(n, err);

        if (r < 0)
            return r;
    }
    for (unsigned i = 0; i < 3 - n->padding; i++)
        n->out[n->out_len++] = (unsigned char)(n->bits >> (16 - 8 * i));
    n->digits = 0;
    n->bits = 0;
    return 0;
}

static int end_content(struct ndjson *n, struct err *err)
{
    if (n->digits)
        return wrong(n, "its content is cut off", err);
    int r = flush(n, err);

    n->padding = 0;
    n->where = OUTSIDE;
    n->after_colon = false;
    return r < 0 ? r : keep(n, "\"", 1, err);
}

/* ---- lines ---- */

static bool is_blank(const struct ndjson *n)
{
    return !n->line.data || strspn(n->line.data, " \t\r") == n->line.len;
}

static int end_line(struct ndjson *n, struct err *err)
{
    int r = 0;

    if (!is_blank(n)) {
        json_t *object = json_loadb(n->line.data, n->line.len, JSON_REJECT_DUPLICATES, NULL);

        if (!json_is_object(object))
            r = wrong(n, "it is no JSON object", err);
        else
            r = n->calls.line(n->calls.arg, object, n->has_content, n->number, err);
        json_decref(object);
    }
    buf_clear(&n->line);
    n->number++;
    n->depth = 0;
    n->has_content = n->after_colon = false;
    n->string_len = 0;
    return r;
}

/* The value of "content", right inside the line's "value"? */
static bool is_content(const struct ndjson *n)
{
    return n->after_colon && n->depth == 2 && n->string_len == 7 &&
           memcmp(n->string, "content", 7) == 0;
}

static int outside(struct ndjson *n, char c, struct err *err)
{
    if (c == '\n')
        return end_line(n, err);
    if (c == '"' && is_content(n)) {
        if (n->has_content)
            return wrong(n, "it has two contents", err);
        n->where = IN_CONTENT;
        n->has_content = n->first = true;
        return keep(n, &c, 1, err);
    }
    if (c == '"') {
        n->where = IN_STRING;
        n->string_len = 0;
    } else if (c == ':') {
        n->after_colon = true;
    } else if (c != ' ' && c != '\t' && c != '\r') {
        n->after_colon = false;
        n->depth += c == '{' || c == '[' ? 1 : 0;
        n->depth -= (c == '}' || c == ']') && n->depth ? 1 : 0;
    }
    return keep(n, &c, 1, err);
}

static int in_string(struct ndjson *n, char c, struct err *err)
{
    if (c == '\n')
        return wrong(n, "it ends in the middle of a string", err);
    if (n->escaped) {
        n->escaped = false;
    } else if (c == '\\') {
        n->escaped = true;
    } else if (c == '"') {
        n->where = OUTSIDE;
        n->after_colon = false;
        return keep(n, &c, 1, err);
    }
    if (n->string_len < KEY_MAX)
        n->string[n->string_len++] = c;
    return keep(n, &c, 1, err);
}

static int in_content(struct ndjson *n, char c, struct err *err)
{
    if (n->escaped) { /* "\/" is how some write "/" */
        n->escaped = false;
        return c == '/' ? decode(n, c, err) : wrong(n, "its content is no base64", err);
    }
    if (c == '\\') {
        n->escaped = true;
        return 0;
    }
    return c == '"' ? end_content(n, err) : decode(n, c, err);
}

/* Whole groups of four, which is nearly all of a body; how many bytes of it were taken. */
static size_t decode_groups(struct ndjson *n, const char *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t i = 0;

    if (n->where != IN_CONTENT || n->escaped || n->digits || n->padding)
        return 0;
    for (; i + 4 <= len && n->out_len + 3 <= sizeof(n->out); i += 4) {
        int a = value_of(p[i]), b = value_of(p[i + 1]), c = value_of(p[i + 2]),
            d = value_of(p[i + 3]);

        if ((a | b | c | d) < 0)
            break;
        n->out[n->out_len++] = (unsigned char)(a << 2 | b >> 4);
        n->out[n->out_len++] = (unsigned char)(b << 4 | c >> 2);
        n->out[n->out_len++] = (unsigned char)(c << 6 | d);
    }
    return i;
}

int ndjson_feed(struct ndjson *n, const char *data, size_t len, struct err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < len; i++) {
        i += decode_groups(n, data + i, len - i);
        if (i == len)
            break;
        r = n->where == OUTSIDE     ? outside(n, data[i], err)
            : n->where == IN_STRING ? in_string(n, data[i], err)
                                    : in_content(n, data[i], err);
    }
    return r;
}

struct ndjson *ndjson_new(const struct ndjson_calls *calls)
{
    struct ndjson *n = calloc(1, sizeof(*n));

    make_values();
    if (n) {
        n->calls = *calls;
        n->line = BUF_INIT(NDJSON_LINE_MAX);
        n->number = 1;
    }
    return n;
}

int ndjson_end(struct ndjson *n, struct err *err)
{
    if (n->where != OUTSIDE)
        return wrong(n, "it is cut off", err);
    return end_line(n, err);
}
