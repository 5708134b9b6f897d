#include "ask.h"

#include "common/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

int ask_line(const char *question, char *out, size_t len, struct err *err)
{
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    fprintf(stderr, *out ? "%s [%s]: " : "%s: ", question, out);
    fflush(stderr);
    ssize_t n = getline(&line, &cap, stdin);
    if (n < 0)
        return err_set(err, ECANCELED, "no answer; nothing was made");
    while (n > 0 && isspace((unsigned char)line[n - 1]))
        line[--n] = 0;
    const char *from = line + strspn(line, " \t");
    if (!*from)
        return 0;
    if (strlen(from) >= len)
        return err_set(err, EINVAL, "the answer is too long: \"%.40s...\"", from);
    memcpy(out, from, strlen(from) + 1);
    return 0;
}
