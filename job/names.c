#include "job/names.h"

#include "common/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* C0, DEL and, in UTF-8 (C2 80 .. C2 9F), C1. */
static bool is_control(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;

    return (n == 1 && (p[0] < 0x20 || p[0] == 0x7f)) || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

const char *names_quote(const char *name, char out[NAMES_QUOTED_MAX])
{
    size_t len = strlen(name), o = 0, i = 0;

    out[o++] = '"';
    while (i < len) {
        size_t n = utf8_len(name + i);

        /* Room for an escape, the dots, the quote and the NUL. */
        if (o + 9 + 5 > NAMES_QUOTED_MAX) {
            memcpy(out + o, "...", 3);
            o += 3;
            break;
        }
        if (n == 0 || is_control(name + i, n)) {
            size_t bad = n ? n : 1;

            for (size_t k = 0; k < bad; k++)
                o += (size_t)snprintf(out + o, NAMES_QUOTED_MAX - o, "\\x%02x",
                                      (unsigned char)name[i + k]);
            i += bad;
        } else {
            memcpy(out + o, name + i, n);
            o += n;
            i += n;
        }
    }
    out[o++] = '"';
    out[o] = '\0';
    return out;
}

static int refuse(struct err *err, const char *path, const char *why)
{
    char quoted[NAMES_QUOTED_MAX];

    return err_set(err, EINVAL, "%s: %s", names_quote(path, quoted), why);
}

/* Every byte of the path, whatever it means. */
static int check_characters(const char *path, size_t len, struct err *err)
{
    for (size_t i = 0; i < len;) {
        size_t n = utf8_len(path + i);

        if (n == 0)
            return refuse(err, path, "a name in a bundle must be UTF-8");
        if (is_control(path + i, n))
            return refuse(err, path, "a name in a bundle must not hold control characters");
        if (path[i] == '\\')
            return refuse(err, path, "a path in a bundle is written with \"/\", not with \"\\\"");
        i += n;
    }
    return 0;
}

int names_clean(const char *path, char out[NAMES_PATH_MAX + 1], struct err *err)
{
    size_t len = strlen(path), o = 0;
    int depth = 0, r;

    if (len == 0)
        return err_set(err, EINVAL, "an entry of the archive has no name");
    r = check_characters(path, len, err);
    if (r < 0)
        return r;
    if (path[0] == '/')
        return refuse(err, path, "absolute paths are not taken");

    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");

        if (n == 2 && memcmp(p, "..", 2) == 0)
            return refuse(err, path, "paths with \"..\" are not taken");
        if (n > NAMES_COMPONENT_MAX)
            return refuse(err, path, "a name is longer than 255 bytes");
        if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (o + 1 + n > NAMES_PATH_MAX)
                return refuse(err, path, "the path is longer than 1024 bytes");
            if (++depth > NAMES_DEPTH_MAX)
                return refuse(err, path, "more than 64 folders in one another");
            if (o > 0)
                out[o++] = '/';
            memcpy(out + o, p, n);
            o += n;
        }
        p += n;
        while (*p == '/')
            p++;
    }
    out[o] = '\0';
    return 0;
}

bool names_is_litter(const char *clean)
{
    for (const char *p = clean; *p;) {
        size_t n = strcspn(p, "/");

        if ((n == 8 && memcmp(p, "__MACOSX", 8) == 0) ||
            (n == 9 && memcmp(p, ".DS_Store", 9) == 0) ||
            (n == 4 && strncasecmp(p, ".git", 4) == 0) || (n > 2 && memcmp(p, "._", 2) == 0))
            return true;
        p += n + (p[n] == '/');
    }
    return false;
}
