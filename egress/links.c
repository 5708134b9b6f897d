/* See links.h. */
#include "egress/links.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

void links_init(struct links *l, bool secure, const char *host, uint16_t port, uint16_t door)
{
    const char *scheme = secure ? "https" : "http";
    uint16_t usual = secure ? 443 : 80;
    memset(l, 0, sizeof(*l));
    snprintf(l->from[l->n++], LINKS_MAX, "%s://%s:%u", scheme, host, port);
    /* as JSON may have it */
    snprintf(l->from[l->n++], LINKS_MAX, "%s:\\/\\/%s:%u", scheme, host, port);
    if (port == usual) {
        snprintf(l->from[l->n++], LINKS_MAX, "%s://%s", scheme, host);
        snprintf(l->from[l->n++], LINKS_MAX, "%s:\\/\\/%s", scheme, host);
    }
    if (door == 80)
        snprintf(l->to, sizeof(l->to), "http://%s", host);
    else
        snprintf(l->to, sizeof(l->to), "http://%s:%u", host, door);
}

/* What may follow a host and end it; not a letter of a longer name, nor another port. */
static bool ends_host(char c)
{
    return strchr("/\\\"'<> ?#\n\r\t", c) != NULL;
}

/* At `p`: > 0 the length of a name that was found, -1 where more bytes are needed to know, 0 none.
 */
static int match(const struct links *l, const char *p, size_t n, bool end)
{
    bool maybe = false;
    for (unsigned i = 0; i < l->n; i++) {
        size_t len = strlen(l->from[i]), k = 0;
        while (k < len && k < n && lower(p[k]) == l->from[i][k])
            k++;
        if (k == len && (k < n ? ends_host(p[k]) : end))
            return (int)len;
        maybe |= k == n && !end;
    }
    return maybe ? -1 : 0;
}

/* Up to where it is known what becomes of the bytes; what is left is less than LINKS_MAX. */
static int work(const struct links *l, const char *p, size_t n, bool end, struct buf *out,
                size_t *used)
{
    size_t i = 0, from = 0;
    int r = 0;
    while (i < n && r == 0) {
        const char *h = NULL;
        for (size_t k = i; k < n && !h; k++)
            if (p[k] == 'h' || p[k] == 'H')
                h = p + k;
        if (!h) {
            i = n;
            break;
        }
        i = (size_t)(h - p);
        int m = match(l, h, n - i, end);
        if (m < 0)
            break;
        if (m > 0) {
            r = buf_append(out, p + from, i - from);
            if (r == 0)
                r = buf_puts(out, l->to);
            from = i + (size_t)m;
            i = from;
        } else {
            i++;
        }
    }
    if (r == 0)
        r = buf_append(out, p + from, i - from);
    *used = i;
    return r;
}

int links_feed(struct links *l, const char *data, size_t len, bool end, struct buf *out)
{
    size_t used;
    int r = 0;
    while (l->n_kept || (end && !len)) {
        /* what was kept, with as much behind it as decides about it */
        size_t room = sizeof(l->kept) - l->n_kept, more = len < room ? len : room;
        memcpy(l->kept + l->n_kept, data, more);
        data += more;
        len -= more;
        l->n_kept += more;
        r = work(l, l->kept, l->n_kept, end && !len, out, &used);
        if (r < 0)
            return r;
        l->n_kept -= used;
        memmove(l->kept, l->kept + used, l->n_kept);
        if (!len)
            return 0;
        if (!used) /* cannot be: no name is that long */
            return -EINVAL;
    }
    r = work(l, data, len, end, out, &used);
    if (r < 0)
        return r;
    l->n_kept = len - used;
    memcpy(l->kept, data + used, l->n_kept);
    return 0;
}
