#include "blank.h"

#include "common/http1.h"

#include <stdbool.h>
#include <string.h>

#define NAME_MAX_BYTES 128 /* what is longer is no name that anybody knows: blanked */
#define VISIT_PATH "/.vitrine/visit?"

struct pen {
    char *at, *end;
};

static void put(struct pen *o, const char *p, size_t n)
{
    size_t room = (size_t)(o->end - o->at);
    n = n < room ? n : room;
    memcpy(o->at, p, n);
    o->at += n;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Percent-decoded once; the length, at most `size`. */
static size_t decode(const char *p, size_t n, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < n && len < size; i++) {
        int a, b;
        if (p[i] == '%' && n - i > 2 && (a = hex(p[i + 1])) >= 0 && (b = hex(p[i + 2])) >= 0) {
            out[len++] = (char)(a << 4 | b);
            i += 2;
        } else {
            out[len++] = p[i];
        }
    }
    return len;
}

/* Anywhere in a parameter's name; and those that are too short for that. */
static const char *const parts[] = {"token",   "secret", "passw",  "sign",       "auth",
                                    "session", "jwt",    "apikey", "credential", "cookie"};
static const char *const wholes[] = {"key",  "api_key", "api-key", "access_key", "sig",
                                     "code", "pwd",     "pass",    "pin",        "link"};

static bool opens_something(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (http1_contains(name, len, parts[i]))
            return true;
    for (size_t i = 0; i < sizeof(wholes) / sizeof(*wholes); i++)
        if (http1_is(name, len, wholes[i]))
            return true;
    return false;
}

/* A URL within the URL (`to=%2Fx%3F__sign%3D...`), encoded however often: what looks like a query
 * and has such a word in it. */
static bool holds_a_secret(const char *value, size_t len)
{
    bool query = memchr(value, '=', len) || http1_contains(value, len, "%3d") ||
                 http1_contains(value, len, "%253d");
    if (!query)
        return false;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (http1_contains(value, len, parts[i]))
            return true;
    return http1_contains(value, len, ".vitrine") || http1_contains(value, len, "%25");
}

static void put_parameter(struct pen *o, const char *p, size_t n)
{
    char name[NAME_MAX_BYTES];
    const char *equals = memchr(p, '=', n);
    size_t name_len = equals ? (size_t)(equals - p) : n;
    if (!equals) {
        /* a bare word, which may be the secret itself */
        put(o, n > 24 ? "***" : p, n > 24 ? 3 : n);
        return;
    }
    const char *value = equals + 1;
    size_t value_len = n - name_len - 1;
    size_t len = decode(p, name_len, name, sizeof(name));
    put(o, p, name_len + 1);
    if (value_len && (name_len > NAME_MAX_BYTES || opens_something(name, len) ||
                      memchr(name, '%', len) || holds_a_secret(value, value_len)))
        put(o, "***", 3);
    else
        put(o, value, value_len);
}

size_t blank_target(const char *target, size_t len, char *out, size_t size)
{
    struct pen o = {out, out + size};
    const char *end = target + len, *query = memchr(target, '?', len);
    if (!query) {
        put(&o, target, len);
        return (size_t)(o.at - out);
    }
    query++;
    put(&o, target, (size_t)(query - target));
    const size_t visit = sizeof(VISIT_PATH) - 1;
    if ((size_t)(query - target) >= visit && memcmp(query - visit, VISIT_PATH, visit) == 0) {
        put(&o, "***", 3);
        return (size_t)(o.at - out);
    }
    while (query < end) {
        size_t n = 0;
        while (query + n < end && query[n] != '&' && query[n] != ';')
            n++;
        put_parameter(&o, query, n);
        query += n;
        if (query < end)
            put(&o, query++, 1);
    }
    return (size_t)(o.at - out);
}
