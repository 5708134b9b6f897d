#include "chunk.h"

#include "common/http1.h"

#include <string.h>

/* From the first digit of a size to the blank line after the last trailer. EXT_* follow the grammar
 * chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ). */
enum {
    SIZE,
    BEFORE_SEMICOLON,
    BEFORE_NAME,
    IN_NAME,
    AFTER_NAME,
    BEFORE_VALUE,
    IN_VALUE,
    IN_QUOTES,
    AFTER_BACKSLASH,
    AFTER_QUOTES,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* One byte of the size line; false where it is malformed. */
static bool size_byte(struct chunk *c, char b)
{
    bool blank = b == ' ' || b == '\t', token = http1_is_token(&b, 1);

    if (c->state != SIZE && c->state != SIZE_LF && ++c->ext_bytes > CHUNK_EXT_MAX)
        return false;
    switch (c->state) {
    case SIZE: {
        int d = hex_digit(b);
        if (d >= 0) {
            if (c->digits == 16 || c->left >> 59)
                return false;
            c->digits++;
            c->left = c->left << 4 | (uint64_t)d;
            return true;
        }
        if (c->digits == 0)
            return false;
        c->state = b == '\r' ? SIZE_LF : b == ';' ? BEFORE_NAME : BEFORE_SEMICOLON;
        return b == '\r' || b == ';' || blank;
    }
    case BEFORE_SEMICOLON:
        if (b == ';')
            c->state = BEFORE_NAME;
        return b == ';' || blank;
    case BEFORE_NAME:
        if (token)
            c->state = IN_NAME;
        return token || blank;
    case IN_NAME:
        if (token)
            return true;
        c->state = AFTER_NAME;
        /* fall through */
    case AFTER_NAME:
        if (b == '=')
            c->state = BEFORE_VALUE;
        else if (b == ';')
            c->state = BEFORE_NAME;
        else if (b == '\r')
            c->state = SIZE_LF;
        return b == '=' || b == ';' || b == '\r' || blank;
    case BEFORE_VALUE:
        if (b == '"')
            c->state = IN_QUOTES;
        else if (token)
            c->state = IN_VALUE;
        return b == '"' || token || blank;
    case IN_VALUE:
        if (token)
            return true;
        c->state = AFTER_QUOTES;
        /* fall through */
    case AFTER_QUOTES:
        if (b == ';')
            c->state = BEFORE_NAME;
        else if (b == '\r')
            c->state = SIZE_LF;
        return b == ';' || b == '\r' || blank;
    case IN_QUOTES:
        if (b == '"')
            c->state = AFTER_QUOTES;
        else if (b == '\\')
            c->state = AFTER_BACKSLASH;
        return http1_value_ok(&b, 1);
    case AFTER_BACKSLASH:
        c->state = IN_QUOTES;
        return http1_value_ok(&b, 1);
    case SIZE_LF:
        c->state = c->left ? DATA : TRAILER;
        return b == '\n';
    }
    return false;
}

static enum chunk_event trailer_line(struct chunk *c, const char *p, size_t n, size_t *used,
                                     const char **data, size_t *len, size_t *name_len)
{
    const char *lf = memchr(p, '\n', n);
    if (!lf)
        return c->trailer_bytes + n > CHUNK_TRAILERS_MAX || memchr(p, '\r', n - 1) ? CHUNK_BAD
                                                                                   : CHUNK_MORE;
    size_t line = (size_t)(lf - p) + 1;
    if (line < 2 || lf[-1] != '\r' || c->trailer_bytes + line > CHUNK_TRAILERS_MAX)
        return CHUNK_BAD;
    c->trailer_bytes = (uint16_t)(c->trailer_bytes + line);
    if (line == 2) {
        *used += line;
        c->ended = true;
        return CHUNK_END;
    }
    const char *colon = memchr(p, ':', line);
    if (!colon || !http1_is_token(p, (size_t)(colon - p)) ||
        !http1_value_ok(colon, (size_t)(lf - 1 - colon)) || ++c->trailers > HTTP1_FIELDS_MAX)
        return CHUNK_BAD;
    *used += line;
    *data = p;
    *len = line - 2;
    *name_len = (size_t)(colon - p);
    return CHUNK_TRAILER;
}

enum chunk_event chunk_next(struct chunk *c, const char *p, size_t n, size_t *used,
                            const char **data, size_t *len, size_t *name_len)
{
    *used = 0;
    if (c->ended)
        return CHUNK_END;
    while (*used < n) {
        const char *at = p + *used;
        switch (c->state) {
        case DATA:
            *len = n - *used < c->left ? n - *used : (size_t)c->left;
            *data = at;
            *used += *len;
            c->left -= *len;
            if (c->left == 0)
                c->state = DATA_CR;
            return CHUNK_DATA;
        case DATA_CR:
        case DATA_LF:
            if (*at != (c->state == DATA_CR ? '\r' : '\n'))
                return CHUNK_BAD;
            ++*used;
            if (c->state == DATA_CR) {
                c->state = DATA_LF;
            } else {
                c->state = SIZE;
                c->digits = 0;
                c->ext_bytes = 0;
            }
            break;
        case TRAILER:
            return trailer_line(c, at, n - *used, used, data, len, name_len);
        default:
            if (!size_byte(c, *at))
                return CHUNK_BAD;
            ++*used;
        }
    }
    return CHUNK_MORE;
}
