/* See start_list.h. */
#include "runner/start_list.h"

#include "common/proto.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

void start_list_add(struct start_list *l, const char *fmt, ...)
{
    char text[PATH_MAX + 512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (l->failed == 0)
        l->failed = n < 0 || (size_t)n >= sizeof(text)
                        ? -EMSGSIZE
                        : proto_list_add(l->bytes, l->len, l->max, text);
}

int start_list_built(void *arg, bool is_mount, const char *text)
{
    struct proto_start *start = arg;
    return is_mount ? proto_list_add(start->mounts, &start->mounts_len, sizeof(start->mounts), text)
                    : proto_list_add(start->env, &start->env_len, sizeof(start->env), text);
}
