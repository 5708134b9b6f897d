#include "job/python.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const folders[] = {"/usr/local/bin", "/usr/bin"};

/* The minor version that "3.N" names, -1 for none. "3.1" is 3.10 whose zero YAML took away: nobody
 * has had Python 3.1 for a long time. */
static int minor_of(const char *version)
{
    int major, minor;
    int n = sscanf(version, "%d.%d", &major, &minor);
    if (n < 2 || major != 3 || minor < 0)
        return -1;
    return minor == 1 ? 10 : minor;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The installed one nearest to 3.WANT; a newer one where two are as near. */
static bool nearest(int want, struct python *ret, int *ret_minor)
{
    int best = INT_MAX;
    for (int minor = 99; minor >= 0; minor--) {
        int far = abs(minor - want);
        for (size_t i = 0; far < best && i < sizeof(folders) / sizeof(*folders); i++) {
            char path[sizeof(ret->path)];
            snprintf(path, sizeof(path), "%s/python3.%d", folders[i], minor);
            if (!is_program(path))
                continue;
            best = far;
            *ret_minor = minor;
            snprintf(ret->path, sizeof(ret->path), "%s", path);
        }
    }
    return best != INT_MAX;
}

static int identify(struct python *p, struct err *err)
{
    struct stat st;
    char text[512];
    _cleanup_free_ char *real = realpath(p->path, NULL);
    if (!real || stat(real, &st) < 0)
        return err_set(err, ENOENT,
                       "there is no Python interpreter %s: install python3, or set sandbox.python",
                       p->path);
    int n = snprintf(text, sizeof(text), "%s %lld %lld", real, (long long)st.st_size,
                     (long long)st.st_mtim.tv_sec);
    sha256_hex(text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1, p->id);
    /* its links to it must go on meaning the same when python3 becomes another one */
    if (strlen(real) < sizeof(p->path))
        snprintf(p->path, sizeof(p->path), "%s", real);
    return 0;
}

int python_choose(const char *version, const char *fallback, struct python *ret, struct err *err)
{
    *ret = (struct python){0};
    int want = minor_of(version), found;
    if (want >= 0 && nearest(want, ret, &found)) {
        if (found != want)
            snprintf(ret->warning, sizeof(ret->warning),
                     "python_version %.20s is not installed here; 3.%d is used, which is nearest",
                     version, found);
    } else {
        snprintf(ret->path, sizeof(ret->path), "%s", fallback);
    }
    return identify(ret, err);
}
