#include "job/pylock.h"

#include "common/cleanup.h"

#include <stdio.h>
#include <string.h>

#define NESTED_MAX 8
#define TEXT_MAX 2048
/* of names, versions, URLs */
#define NAMES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* ---- the part of TOML 1.0 that such a file has ---- */

struct scan {
    const char *p;
};

static void skip_space(struct scan *s, bool lines)
{
    for (;;) {
        s->p += strspn(s->p, lines ? " \t\r\n" : " \t\r");
        if (*s->p != '#')
            return;
        s->p += strcspn(s->p, "\n");
    }
}

static bool take(struct scan *s, char c)
{
    skip_space(s, true);
    if (*s->p != c)
        return false;
    s->p++;
    return true;
}

/* A string on one line; what needs an escape is nothing that is kept: `*ret` becomes "". */
static bool take_string(struct scan *s, char *ret, size_t size)
{
    char quote = *s->p;
    const char *from = s->p + 1, *to = from;
    bool plain = true;
    if (quote != '"' && quote != '\'')
        return false;
    for (; *to != quote; to++) {
        if (!*to || *to == '\n')
            return false;
        if (quote == '"' && *to == '\\') {
            plain = false;
            if (!*++to || *to == '\n')
                return false;
        }
    }
    s->p = to + 1;
    if (size)
        ret[0] = 0;
    if (plain && (size_t)(to - from) < size) {
        memcpy(ret, from, (size_t)(to - from));
        ret[to - from] = 0;
    }
    return true;
}

static bool take_key(struct scan *s, char *ret, size_t size)
{
    skip_space(s, true);
    size_t n = strspn(s->p, NAMES "-_");
    if (!n || n >= size)
        return false;
    memcpy(ret, s->p, n);
    ret[n] = 0;
    s->p += n;
    return take(s, '=');
}

/* Each value of an array, for which `key` is "", or of an inline table. */
typedef bool (*value_fn)(struct scan *s, const char *key, void *arg);

static bool read_values(struct scan *s, bool table, value_fn read, void *arg)
{
    const char end = table ? '}' : ']';
    char key[64] = "";
    if (!take(s, table ? '{' : '['))
        return false;
    while (!take(s, end)) {
        if (table && !take_key(s, key, sizeof(key)))
            return false;
        skip_space(s, false);
        if (!read(s, key, arg) || (!take(s, ',') && *s->p != end))
            return false;
    }
    return true;
}

static bool skip_value(struct scan *s, unsigned depth);

static bool skip_inner(struct scan *s, const char *key, void *arg)
{
    (void)key;
    return skip_value(s, *(const unsigned *)arg + 1);
}

static bool skip_value(struct scan *s, unsigned depth)
{
    if (*s->p == '"' || *s->p == '\'')
        return take_string(s, NULL, 0);
    if (*s->p == '[' || *s->p == '{')
        return depth < NESTED_MAX && read_values(s, *s->p == '{', skip_inner, &depth);
    size_t n = strspn(s->p, NAMES "-_+.:");
    s->p += n;
    return n;
}

/* ---- from pylock.toml ---- */

struct package {
    char name[256], version[256];
    struct buf pin, files; /* "... --hash", and its lines */
};

static bool is_hex(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static bool is_lasting(const char *url)
{
    bool web = strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
    return web && strspn(url, NAMES "-._~:/%+!,=") == strlen(url);
}

struct wheel {
    char url[TEXT_MAX], sha256[65];
};

static bool read_hash(struct scan *s, const char *key, void *arg)
{
    struct wheel *w = arg;
    return strcmp(key, "sha256") == 0 ? take_string(s, w->sha256, sizeof(w->sha256))
                                      : skip_value(s, 0);
}

static bool read_wheel_key(struct scan *s, const char *key, void *arg)
{
    struct wheel *w = arg;
    if (strcmp(key, "url") == 0)
        return take_string(s, w->url, sizeof(w->url));
    if (strcmp(key, "hashes") == 0)
        return read_values(s, true, read_hash, w);
    return strcmp(key, "path") != 0 && skip_value(s, 0);
}

static bool read_wheel(struct scan *s, const char *key, void *arg)
{
    (void)key;
    struct package *p = arg;
    struct wheel w = {0};
    return read_values(s, true, read_wheel_key, &w) && is_lasting(w.url) && is_hex(w.sha256) &&
           buf_printf(&p->pin, " --hash=sha256:%s", w.sha256) == 0 &&
           buf_printf(&p->files, "#file sha256:%s %s\n", w.sha256, w.url) == 0;
}

/* One key of a package. What is not known may say that it is none of an index. */
static bool read_key(struct scan *s, struct package *p)
{
    static const char *const ignored[] = {"sdist",  "requires-python", "marker",
                                          "index",  "dependencies",    "attestation-identities",
                                          "size",   "upload-time",     "created-by",
                                          "extras", "lock-version",    "environments"};
    char key[64];
    if (!take_key(s, key, sizeof(key)))
        return false;
    skip_space(s, false);
    if (strcmp(key, "name") == 0)
        return take_string(s, p->name, sizeof(p->name));
    if (strcmp(key, "version") == 0)
        return take_string(s, p->version, sizeof(p->version));
    if (strcmp(key, "wheels") == 0)
        return read_values(s, false, read_wheel, p);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        if (strcmp(key, ignored[i]) == 0)
            return skip_value(s, 0);
    return false;
}

/* PEP 508; a line that begins with '-' would be an option. Its length, or 0. */
static size_t name_len(const char *s)
{
    return strspn(s, NAMES) ? strspn(s, NAMES "-_.") : 0;
}

static bool end_package(struct package *p, struct buf *lock)
{
    bool ok =
        p->files.len && p->name[0] && name_len(p->name) == strlen(p->name) && p->version[0] &&
        strspn(p->version, NAMES "-_.+!") == strlen(p->version) &&
        buf_printf(lock, "%s==%s%s\n%s", p->name, p->version, p->pin.data, p->files.data) == 0;
    buf_clear(&p->pin);
    buf_clear(&p->files);
    p->name[0] = p->version[0] = 0;
    return ok;
}

static bool read_all(struct scan *s, struct package *p, struct buf *lock)
{
    static const char head[] = "[[packages]]";
    bool in_package = false;
    for (skip_space(s, true); *s->p; skip_space(s, true)) {
        if (*s->p != '[') {
            if (!read_key(s, p))
                return false;
            continue;
        }
        if (strncmp(s->p, head, sizeof(head) - 1) != 0 || (in_package && !end_package(p, lock)))
            return false;
        s->p += sizeof(head) - 1;
        in_package = true;
    }
    return !in_package || end_package(p, lock);
}

bool pylock_read(const char *text, struct buf *lock)
{
    _cleanup_buf_ struct buf all = BUF_INIT(lock->max);
    struct package p = {.pin = BUF_INIT(lock->max), .files = BUF_INIT(lock->max)};
    struct scan s = {.p = text};
    bool ok = read_all(&s, &p, &all) && all.len && buf_append(lock, all.data, all.len) == 0;
    buf_free(&p.pin);
    buf_free(&p.files);
    return ok;
}

/* ---- to it ---- */

/* "#file sha256:HEX URL" */
static bool write_file(const char *line, size_t len, bool first, struct buf *toml)
{
    static const char head[] = "#file sha256:";
    const size_t begin = sizeof(head) - 1;
    char sha256[65], url[TEXT_MAX];
    if (len < begin + 66 || len - begin - 65 >= sizeof(url) || memcmp(line, head, begin) != 0 ||
        line[begin + 64] != ' ')
        return false;
    snprintf(sha256, sizeof(sha256), "%s", line + begin);
    snprintf(url, len - begin - 64, "%s", line + begin + 65);
    if (!is_hex(sha256) || !is_lasting(url))
        return false;
    return buf_printf(toml, "%s{ url = \"%s\", hashes = { sha256 = \"%s\" } }",
                      first ? "wheels = [" : ", ", url, sha256) == 0;
}

static bool write_pin(const char *line, size_t len, struct buf *toml)
{
    size_t name = name_len(line);
    const char *version = line + name + 2;
    if (!name || name + 2 > len || strncmp(line + name, "==", 2) != 0)
        return false;
    size_t n = strspn(version, NAMES "-_.+!");
    return n && version[n] == ' ' &&
           buf_printf(toml, "\n[[packages]]\nname = \"%.*s\"\nversion = \"%.*s\"\n", (int)name,
                      line, (int)n, version) == 0;
}

bool pylock_write(const char *lock, struct buf *toml)
{
    unsigned packages = 0, files = 0; /* files: of the last one */
    bool ok = buf_puts(toml, "lock-version = \"1.0\"\ncreated-by = \"vitrine\"\n") == 0;
    for (const char *line = lock, *end; ok && *line; line = end + (*end == '\n')) {
        end = line + strcspn(line, "\n");
        size_t len = (size_t)(end - line);
        if (*line == '#') {
            ok = packages && write_file(line, len, !files++, toml);
        } else if (*line != '-' && len) { /* where to look: that is known by now */
            ok = (!packages || (files && buf_puts(toml, "]\n") == 0)) && write_pin(line, len, toml);
            packages++;
            files = 0;
        }
    }
    return ok && files && buf_puts(toml, "]\n") == 0;
}
