#include "hostlist.h"

#include "http1.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* http1_host_ok has seen to it that digits follow the colon. */
static int parse(const char *text, size_t len, struct hostlist_entry *ret)
{
    size_t wild = len > 2 && text[0] == '*' && text[1] == '.' ? 2 : 0, host_len;
    unsigned long port = 0;
    if (!http1_host_ok(text + wild, len - wild, &host_len) || wild + host_len >= sizeof(ret->host))
        return -EINVAL;
    host_len += wild;
    if (host_len < len)
        port = strtoul(text + host_len + 1, NULL, 10);
    if (host_len < len && (port < 1 || port > 65535))
        return -EINVAL;
    ret->port = (uint16_t)port;
    snprintf(ret->host, sizeof(ret->host), "%.*s", (int)host_len, text);
    return 0;
}

int hostlist_each(const char *list, const char *what,
                  int (*each)(void *arg, const struct hostlist_entry *e), void *arg,
                  struct err *err)
{
    for (const char *p = list + strspn(list, ", \t"); *p; p += strspn(p, ", \t")) {
        size_t len = strcspn(p, ", \t");
        struct hostlist_entry e;
        if (parse(p, len, &e) < 0)
            return err_set(err, EINVAL, "%s: \"%.*s\" is not HOST[:PORT] or *.NAME[:PORT]", what,
                           (int)(len < 80 ? len : 80), p);
        int r = each ? each(arg, &e) : 0;
        if (r < 0)
            return err_set(err, -r, "%s: %s", what, strerror(-r));
        p += len;
    }
    return 0;
}
