#include "runner/lock.h"

#include <ctype.h>
#include <string.h>

/* The next word of the line at *p, which ends at `end`. */
static const char *word(const char **p, const char *end, size_t *ret_len)
{
    while (*p < end && (**p == ' ' || **p == '\t' || **p == '\r'))
        (*p)++;
    const char *w = *p;
    while (*p < end && **p != ' ' && **p != '\t' && **p != '\r')
        (*p)++;
    *ret_len = (size_t)(*p - w);
    return w;
}

static bool begins(const char *w, size_t len, const char *prefix)
{
    size_t n = strlen(prefix);
    return len >= n && memcmp(w, prefix, n) == 0;
}

static bool is_hex(const char *w, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isdigit((unsigned char)w[i]) && (w[i] < 'a' || w[i] > 'f'))
            return false;
    return true;
}

static bool is_hash(const char *w, size_t len)
{
    static const char prefix[] = "--hash=sha256:";
    const size_t n = sizeof(prefix) - 1;
    return len == n + 64 && memcmp(w, prefix, n) == 0 && is_hex(w + n, 64);
}

/* "name==1.2.post1+cpu", with extras or without */
static bool is_pin(const char *w, size_t len)
{
    size_t i = 0;
    while (i < len && (isalnum((unsigned char)w[i]) || strchr("-_.", w[i])))
        i++;
    if (i == 0 || !isalnum((unsigned char)w[0]))
        return false;
    if (i < len && w[i] == '[') {
        while (i < len && (isalnum((unsigned char)w[i]) || strchr("[-_.,", w[i])))
            i++;
        if (i == len || w[i++] != ']')
            return false;
    }
    if (len < i + 3 || memcmp(w + i, "==", 2) != 0)
        return false;
    for (i += 2; i < len; i++)
        if (!isalnum((unsigned char)w[i]) && !strchr("-_.+!", w[i]))
            return false;
    return true;
}

static bool is_web(const char *w, size_t len)
{
    return begins(w, len, "https://") || begins(w, len, "http://");
}

/* "--extra-index-url https://...": where to look, not what to take */
static bool is_index(const char *w, size_t len, const char **p, const char *end)
{
    static const char *const names[] = {"--index-url", "--extra-index-url", "--find-links", "-i",
                                        "-f"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        size_t n = strlen(names[i]), rest;
        if (!begins(w, len, names[i]))
            continue;
        if (len > n) {
            word(p, end, &rest);
            return w[n] == '=' && is_web(w + n + 1, len - n - 1) && rest == 0;
        }
        const char *value = word(p, end, &rest);
        bool web = is_web(value, rest);
        word(p, end, &rest);
        return web && rest == 0;
    }
    return false;
}

/* "git+https://host/x@40 hex digits" */
static bool is_commit(const char *w, size_t len)
{
    if (!begins(w, len, "git+https://") || len < 54 || w[len - 41] != '@')
        return false;
    for (size_t i = len - 40; i < len; i++)
        if (!isxdigit((unsigned char)w[i]))
            return false;
    return true;
}

/* "#file sha256:HEX URL": where one of the hashes is to be had */
static bool is_file(const char *w, size_t len, const char **p, const char *end)
{
    static const char prefix[] = "sha256:";
    const size_t n = sizeof(prefix) - 1;
    size_t hash_len, url_len, rest;
    const char *hash = word(p, end, &hash_len), *url = word(p, end, &url_len);
    word(p, end, &rest);
    return len == 5 && memcmp(w, "#file", 5) == 0 && hash_len == n + 64 &&
           begins(hash, hash_len, prefix) && is_hex(hash + n, 64) && is_web(url, url_len) &&
           rest == 0;
}

static enum lock_kind judge_line(const char *p, const char *end)
{
    size_t len, hashes = 0;
    const char *w = word(&p, end, &len), *url = NULL;
    size_t url_len = 0;
    if (!len)
        return LOCK_SHARED;
    if (w[0] == '-')
        return is_index(w, len, &p, end) ? LOCK_SHARED : LOCK_BOUND;
    if (w[0] == '#')
        return is_file(w, len, &p, end) ? LOCK_SHARED : LOCK_BOUND;
    bool pin = is_pin(w, len);
    while ((w = word(&p, end, &len)), len) {
        if (is_hash(w, len))
            hashes++;
        else if (!pin && !url && len == 1 && w[0] == '@')
            url = word(&p, end, &url_len);
        else
            return LOCK_BOUND; /* markers, other options */
    }
    if (pin)
        return hashes ? LOCK_SHARED : LOCK_BOUND;
    if (url && ((is_web(url, url_len) && hashes) || is_commit(url, url_len)))
        return LOCK_OWN;
    return LOCK_BOUND;
}

enum lock_kind lock_judge(const char *text, size_t len)
{
    enum lock_kind worst = LOCK_SHARED;
    for (const char *p = text, *end = text + len, *nl; p < end; p = nl + 1) {
        nl = memchr(p, '\n', (size_t)(end - p));
        nl = nl ? nl : end;
        enum lock_kind k = memchr(p, 0, (size_t)(nl - p)) ? LOCK_BOUND : judge_line(p, nl);
        worst = k > worst ? k : worst;
    }
    return worst;
}

unsigned lock_count(const char *text, size_t len)
{
    unsigned n = 0;
    for (const char *p = text, *end = text + len; p < end; p++)
        n += (p == text || p[-1] == '\n') && isalnum((unsigned char)*p);
    return n;
}

const char *lock_kind_name(enum lock_kind kind)
{
    static const char *const names[] = {
        [LOCK_SHARED] = "shared", [LOCK_OWN] = "own", [LOCK_BOUND] = "bound"};
    return names[kind];
}
