/* See policy.h. */
#include "egress/policy.h"

#include "common/http1.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 4096
#define DOCUMENTATION_ENDS 4 /* see below */

/* Nobody's networks: nothing is there to be reached, and resolvers of closed networks give them to
 * names for which a proxy of theirs stands in. */
static const char *const documentation[DOCUMENTATION_ENDS] = {"192.0.2.0/24", "198.51.100.0/24",
                                                              "203.0.113.0/24", NULL};

/* The next word of the line, which is cut there; "" at its end. */
static char *word(char **line)
{
    char *w = *line, *end = strchr(w, ' ');
    *line = end ? end + 1 : w + strlen(w);
    if (end)
        *end = '\0';
    return w;
}

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || v < least || v > most)
        return false;
    *ret = v;
    return true;
}

static bool port_of(const char *text, uint16_t *ret)
{
    uint64_t v;
    if (!number(text, 1, 65535, &v))
        return false;
    *ret = (uint16_t)v;
    return true;
}

/* A name or an address, in lower case; `wild`: also *.NAME, which becomes .NAME */
static bool host_of(const char *text, bool wild, char ret[POLICY_NAME])
{
    size_t len = strlen(text), host_len;
    bool below = wild && text[0] == '*' && text[1] == '.';
    const char *name = below ? text + 2 : text;
    if (len >= POLICY_NAME || !http1_host_ok(name, strlen(name), &host_len) ||
        host_len != strlen(name))
        return false;
    snprintf(ret, POLICY_NAME, "%s%s", below ? "." : "", name);
    for (char *c = ret; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    return true;
}

static bool scheme_of(const char *text, bool *secure)
{
    *secure = strcmp(text, "https") == 0;
    return *secure || strcmp(text, "http") == 0;
}

static const char *take_allow(struct policy *p, char *line)
{
    if (p->n_hosts == POLICY_HOSTS)
        return "too many hosts";
    struct policy_host h = {0};
    const char *name = word(&line);
    if (!host_of(name, true, h.name))
        return "no host";
    for (char *ports = word(&line); *ports;) {
        char *comma = strchr(ports, ',');
        if (comma)
            *comma = '\0';
        if (h.n_ports == POLICY_PORTS || !port_of(ports, &h.ports[h.n_ports++]))
            return "no list of up to 8 ports";
        ports = comma ? comma + 1 : ports + strlen(ports);
    }
    const char *more = word(&line);
    h.inside = strcmp(more, "inside") == 0;
    if (!h.n_ports || (*more && !h.inside) || *line)
        return "not `allow HOST PORT,... [inside]`";
    p->hosts[p->n_hosts++] = h;
    return NULL;
}

static const char *take_login(struct policy *p, char *line)
{
    if (p->n_logins == POLICY_LOGINS)
        return "too many logins";
    struct policy_login l = {0};
    const char *scheme = word(&line), *host = word(&line), *port = word(&line);
    if (!scheme_of(scheme, &l.secure) || !host_of(host, false, l.host) || !port_of(port, &l.port))
        return "not `login http|https HOST PORT VALUE`";
    if (!*line || strlen(line) >= sizeof(l.value) || !http1_value_ok(line, strlen(line)))
        return "the value is none, or too long";
    snprintf(l.value, sizeof(l.value), "%s", line);
    l.door = l.secure && l.port == 443 ? 80 : l.port;
    p->logins[p->n_logins++] = l;
    return NULL;
}

static const char *take_proxy(struct policy *p, char *line)
{
    bool secure;
    struct policy_proxy x = {0};
    const char *scheme = word(&line), *host = word(&line), *port = word(&line);
    if (!scheme_of(scheme, &secure) || !host_of(host, false, x.host) || !port_of(port, &x.port))
        return "not `proxy http|https HOST PORT [VALUE]`";
    if (strlen(line) >= sizeof(x.value) || !http1_value_ok(line, strlen(line)))
        return "the value is none, or too long";
    snprintf(x.value, sizeof(x.value), "%s", line);
    p->proxies[secure] = x;
    return NULL;
}

static const char *take_text(char *line, char *ret, size_t size)
{
    if (!*line || snprintf(ret, size, "%s", line) >= (int)size)
        return "the value is none, or too long";
    return NULL;
}

static const char *take(struct policy *p, char *line)
{
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {{"connections", &p->connections},
                   {"bytes", &p->bytes},
                   {"connection_ms", &p->connection_ms},
                   {"idle_ms", &p->idle_ms}};
    const char *name = word(&line);
    if (strcmp(name, "allow") == 0)
        return take_allow(p, line);
    if (strcmp(name, "login") == 0)
        return take_login(p, line);
    if (strcmp(name, "proxy") == 0)
        return take_proxy(p, line);
    if (strcmp(name, "no_proxy") == 0)
        return take_text(line, p->no_proxy, sizeof(p->no_proxy));
    if (strcmp(name, "ca") == 0)
        return take_text(line, p->ca, sizeof(p->ca));
    if (strcmp(name, "verbatim") == 0)
        return (p->verbatim = strcmp(line, "yes") == 0) ? NULL : "not `verbatim yes`";
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        if (strcmp(name, numbers[i].name) == 0)
            return number(line, 1, UINT64_MAX, numbers[i].value) ? NULL : "no number";
    return "no such directive";
}

static int make_rules(struct policy *p, struct err *err)
{
    for (size_t i = 0; netrule_not_public[i]; i++) {
        bool nobodys = false;
        for (size_t k = 0; documentation[k]; k++)
            nobodys |= strcmp(documentation[k], netrule_not_public[i]) == 0;
        if (nobodys)
            continue;
        if (p->n_not_public == POLICY_RULES)
            return err_set(err, E2BIG, "too many ranges that are not public");
        int r = netrule_parse(netrule_not_public[i], false, &p->not_public[p->n_not_public], err);
        if (r < 0)
            return r;
        p->n_not_public++;
    }
    return 0;
}

int policy_parse(struct policy *p, const char *text, size_t len, struct err *err)
{
    memset(p, 0, sizeof(*p));
    p->connections = 64;
    p->bytes = UINT64_MAX;
    p->connection_ms = 3600000;
    p->idle_ms = 120000;
    unsigned n = 0;
    for (const char *at = text, *end = text + len; at < end;) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        size_t line_len = (size_t)((nl ? nl : end) - at);
        char line[MAX_LINE];
        n++;
        if (line_len >= sizeof(line) || memchr(at, '\0', line_len))
            return err_set(err, EINVAL, "line %u: no text, or too long", n);
        memcpy(line, at, line_len);
        line[line_len] = '\0';
        const char *wrong = line_len ? take(p, line) : NULL;
        if (wrong)
            return err_set(err, EINVAL, "line %u: %s", n, wrong);
        at += line_len + 1;
    }
    return make_rules(p, err);
}

int policy_read_own(struct policy *p, struct err *err)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return err_errno(err, "list this machine's addresses");
    for (struct ifaddrs *a = all; a && p->n_own < POLICY_OWN; a = a->ifa_next) {
        if (!a->ifa_addr ||
            (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
            continue;
        struct netrule *r = &p->own[p->n_own++];
        r->v6 = a->ifa_addr->sa_family == AF_INET6;
        r->prefix = r->v6 ? 128 : 32;
        if (r->v6)
            memcpy(r->addr, &((struct sockaddr_in6 *)(void *)a->ifa_addr)->sin6_addr, 16);
        else
            memcpy(r->addr, &((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr, 4);
    }
    freeifaddrs(all);
    return 0;
}

const struct policy_host *policy_allows(const struct policy *p, const char *host, uint16_t port,
                                        bool *other_ports)
{
    size_t len = strlen(host);
    *other_ports = false;
    for (unsigned i = 0; i < p->n_hosts; i++) {
        const struct policy_host *h = &p->hosts[i];
        size_t n = strlen(h->name);
        if (h->name[0] == '.' ? len <= n || strcmp(host + len - n, h->name) != 0
                              : strcmp(host, h->name) != 0)
            continue;
        for (unsigned k = 0; k < h->n_ports; k++)
            if (h->ports[k] == port)
                return h;
        *other_ports = true;
    }
    return NULL;
}

const struct policy_login *policy_login(const struct policy *p, const char *host, uint16_t door)
{
    for (unsigned i = 0; i < p->n_logins; i++)
        if (p->logins[i].door == door && strcmp(p->logins[i].host, host) == 0)
            return &p->logins[i];
    return NULL;
}

/* One entry of no_proxy: a name and all below it, with or without a dot before it, and a port. */
static bool is_exempt(const char *entry, size_t n, const char *host, uint16_t port)
{
    const char *colon = memchr(entry, ':', n);
    if (n == 1 && *entry == '*')
        return true;
    if (colon && !memchr(colon + 1, ':', (size_t)(entry + n - colon - 1))) {
        char wanted[8];
        snprintf(wanted, sizeof(wanted), "%u", port);
        size_t len = (size_t)(entry + n - colon - 1);
        if (strlen(wanted) != len || memcmp(colon + 1, wanted, len) != 0)
            return false;
        n = (size_t)(colon - entry);
    }
    while (n && (*entry == '*' || *entry == '.')) {
        entry++;
        n--;
    }
    size_t len = strlen(host);
    return n && len >= n && http1_is(entry, n, host + len - n) &&
           (len == n || host[len - n - 1] == '.');
}

const struct policy_proxy *policy_proxy(const struct policy *p, bool secure, const char *host,
                                        uint16_t port)
{
    if (!p->proxies[secure].host[0])
        return NULL;
    for (const char *at = p->no_proxy; *at;) {
        size_t n = strcspn(at, ", \t");
        if (n && is_exempt(at, n, host, port))
            return NULL;
        at += n + strspn(at + n, ", \t");
    }
    return &p->proxies[secure];
}

bool policy_address_ok(const struct policy *p, bool inside, const struct sockaddr *address)
{
    bool v6 = address->sa_family == AF_INET6;
    if (!v6 && address->sa_family != AF_INET)
        return false;
    if (inside)
        return true;
    const uint8_t *raw =
        v6 ? (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
           : (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    if (v6 && (raw[0] & 0xe0) != 0x20) /* NETRULE_GLOBAL_UNICAST */
        return false;
    for (unsigned i = 0; i < p->n_own; i++)
        if (netrule_covers(&p->own[i], v6, raw))
            return false;
    for (unsigned i = 0; i < p->n_not_public; i++)
        if (netrule_covers(&p->not_public[i], v6, raw))
            return false;
    return true;
}
