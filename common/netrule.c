#include "netrule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ENTRY 80

const char *const netrule_not_public[] = {
    "0.0.0.0/8",       /* this network */
    "10.0.0.0/8",      /* private */
    "100.64.0.0/10",   /* shared by providers; metadata of some clouds */
    "127.0.0.0/8",     /* loopback */
    "169.254.0.0/16",  /* link-local, metadata */
    "172.16.0.0/12",   /* private */
    "192.0.0.0/24",    /* protocol assignments */
    "192.0.2.0/24",    /* documentation */
    "192.88.99.0/24",  /* 6to4 relays */
    "192.168.0.0/16",  /* private */
    "198.18.0.0/15",   /* measurements; ours */
    "198.51.100.0/24", /* documentation */
    "203.0.113.0/24",  /* documentation */
    "224.0.0.0/4",     /* multicast */
    "240.0.0.0/4",     /* reserved, broadcast */
    "168.63.129.16",   /* Azure's wire server */
    "2001::/23",       /* protocol assignments, Teredo among them: they embed IPv4 addresses */
    "2001:db8::/32",   /* documentation */
    "2002::/16",       /* 6to4: embeds IPv4 addresses */
    "3fff::/20",       /* documentation */
    NULL,
};

/* A whole decimal number that `text` begins with, at most `most`; its end, or NULL. */
static const char *number(const char *text, unsigned most, unsigned *ret)
{
    unsigned v = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && p - text < 6; p++)
        v = v * 10 + (unsigned)(*p - '0');
    *ret = v;
    return p == text || v > most ? NULL : p;
}

static void clear_below(uint8_t *addr, unsigned bytes, unsigned prefix)
{
    for (unsigned i = 0; i < bytes; i++) {
        unsigned kept = prefix >= 8 * (i + 1) ? 8 : prefix > 8 * i ? prefix - 8 * i : 0;
        addr[i] &= (uint8_t)(0xff << (8 - kept));
    }
}

int netrule_parse(const char *text, bool allow, struct netrule *ret, struct err *err)
{
    struct netrule r = {.allow = allow};
    char addr[INET6_ADDRSTRLEN];
    bool bracket = text[0] == '[';
    const char *begin = text + bracket;
    /* a bare IPv6 address holds colons of its own: it has no port */
    const char *first = strchr(begin, ':');
    bool bare_v6 = !bracket && first && strchr(first + 1, ':');
    size_t len = strcspn(begin, bracket ? "]" : bare_v6 ? "/" : "/:");
    const char *p = begin + len;
    if (len == 0 || len >= sizeof(addr) || (bracket && *p++ != ']'))
        return err_set(err, EINVAL, "\"%s\" is not ADDRESS[/PREFIX][:PORT]", text);
    snprintf(addr, sizeof(addr), "%.*s", (int)len, begin);
    if (inet_pton(AF_INET6, addr, r.addr) == 1)
        r.v6 = true;
    else if (bracket || inet_pton(AF_INET, addr, r.addr) != 1)
        return err_set(err, EINVAL, "\"%s\": \"%s\" is no IP address (names are not looked up)",
                       text, addr);
    unsigned bits = r.v6 ? 128 : 32, port = 0;
    r.prefix = bits;
    if (*p == '/' && !(p = number(p + 1, bits, &r.prefix)))
        return err_set(err, EINVAL, "\"%s\": the prefix is not a number up to %u", text, bits);
    if (*p == ':' && (!(p = number(p + 1, 65535, &port)) || port == 0))
        return err_set(err, EINVAL, "\"%s\": the port is not a number from 1 to 65535", text);
    if (*p)
        return err_set(err, EINVAL, "\"%s\" goes on after an address: \"%s\"", text, p);
    if (port && !allow)
        return err_set(err, EINVAL, "\"%s\": what is denied is denied on every port", text);
    r.port = (uint16_t)port;
    clear_below(r.addr, bits / 8, r.prefix);
    *ret = r;
    return 0;
}

int netrule_list(const char *list, const char *what, bool allow,
                 int (*each)(void *arg, const char *entry, const struct netrule *rule,
                             struct err *err),
                 void *arg, struct err *err)
{
    for (const char *p = list + strspn(list, ", \t"); *p; p += strspn(p, ", \t")) {
        size_t len = strcspn(p, ", \t");
        char entry[MAX_ENTRY];
        if (len >= sizeof(entry))
            return err_set(err, EINVAL, "%s: \"%.40s...\" is no address", what, p);
        snprintf(entry, sizeof(entry), "%.*s", (int)len, p);
        struct netrule rule;
        int r = netrule_parse(entry, allow, &rule, err);
        if (r < 0)
            return err_prefix(err, -r, "%s", what);
        if (each && (r = each(arg, entry, &rule, err)) < 0)
            return r;
        p += len;
    }
    return 0;
}

bool netrule_covers(const struct netrule *r, bool v6, const uint8_t *addr)
{
    uint8_t a[16] = {0};
    if (r->v6 != v6)
        return false;
    memcpy(a, addr, v6 ? 16 : 4);
    clear_below(a, v6 ? 16 : 4, r->prefix);
    return memcmp(a, r->addr, v6 ? 16 : 4) == 0;
}
