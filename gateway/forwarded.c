#include "forwarded.h"

#include "limits.h"
#include "trust.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define HOPS_MAX                                                                                   \
    16 /* proxies one behind the other; what is further to the left is not looked at               \
        */

/* ---- pure parts ---- */

static void trim(const char **p, size_t *len)
{
    while (*len && (**p == ' ' || **p == '\t')) {
        ++*p;
        --*len;
    }
    while (*len && ((*p)[*len - 1] == ' ' || (*p)[*len - 1] == '\t'))
        --*len;
}

static bool is_port(const char *p, size_t len)
{
    if (len < 2 || len > 6 || p[0] != ':')
        return false;
    for (size_t i = 1; i < len; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

bool forwarded_address(const char *p, size_t len, struct sockaddr_storage *ret)
{
    char text[INET6_ADDRSTRLEN];
    *ret = (struct sockaddr_storage){0};
    trim(&p, &len);
    if (len >= 2 && p[0] == '"' && p[len - 1] == '"') {
        p++;
        len -= 2;
    }
    bool brackets = len && p[0] == '[';
    const char *end = brackets ? memchr(p, ']', len) : memchr(p, ':', len);
    size_t n = len;
    if (brackets) {
        if (!end || (end + 1 < p + len && !is_port(end + 1, (size_t)(p + len - end - 1))))
            return false;
        p++;
        n = (size_t)(end - p);
    } else if (end && !memchr(end + 1, ':', (size_t)(p + len - end - 1))) { /* one colon: a port */
        if (!is_port(end, (size_t)(p + len - end)))
            return false;
        n = (size_t)(end - p);
    }
    if (n == 0 || n >= sizeof(text) || memchr(p, '\0', n))
        return false;
    memcpy(text, p, n);
    text[n] = '\0';
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret;
    if (!brackets && inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        ret->ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        ret->ss_family = AF_INET6;
    return ret->ss_family != 0;
}

/* A token or a quoted string at *p; NULL where there is neither. Escapes stay as they are: no value
 * that is taken has one. */
static const char *value_at(const char **p, const char *end, size_t *len)
{
    const char *from = *p, *at = from;
    if (at < end && *at == '"') {
        for (at++; at < end && *at != '"'; at++)
            if (*at == '\\')
                at++;
        if (at >= end)
            return NULL;
        *p = at + 1;
        *len = (size_t)(at - from - 1);
        return from + 1;
    }
    /* addresses in brackets are often sent without the quotes that they must have */
    while (at < end && *at != ';' && *at != ',' && *at != ' ' && *at != '\t' && *at != '"')
        at++;
    *p = at;
    *len = (size_t)(at - from);
    return at > from ? from : NULL;
}

static void skip_blanks(const char **p, const char *end)
{
    while (*p < end && (**p == ' ' || **p == '\t'))
        ++*p;
}

static void take_pair(struct forwarded_element *e, const char *name, size_t name_len,
                      const char *value, size_t len)
{
    if (http1_is(name, name_len, "for")) {
        e->by_for = value;
        e->for_len = len;
    } else if (http1_is(name, name_len, "proto")) {
        e->proto = value;
        e->proto_len = len;
    } else if (http1_is(name, name_len, "host")) {
        e->host = value;
        e->host_len = len;
    }
}

int forwarded_elements(const char *p, size_t len, struct forwarded_element *out, int max)
{
    const char *end = p + len;
    int n = 0;
    struct forwarded_element e = {0};
    for (;;) {
        skip_blanks(&p, end);
        if (p < end && *p != ';' && *p != ',') {
            const char *name = p;
            while (p < end && *p != '=' && *p != ';' && *p != ',')
                p++;
            size_t name_len = (size_t)(p - name), value_len;
            if (p == end || *p != '=' || !http1_is_token(name, name_len))
                return -1;
            p++;
            const char *value = value_at(&p, end, &value_len);
            if (!value)
                return -1;
            take_pair(&e, name, name_len, value, value_len);
            skip_blanks(&p, end);
        }
        if (p < end && *p != ';' && *p != ',')
            return -1;
        if (p == end || *p == ',') {
            if (n == max) {
                memmove(out, out + 1, sizeof(*out) * (size_t)(max - 1));
                n--;
            }
            out[n++] = e;
            e = (struct forwarded_element){0};
        }
        if (p == end)
            return n;
        p++;
    }
}

/* ---- of a request ---- */

/* Elements of a field that may be sent several times, each of which appends to the earlier ones:
 * the last HOPS_MAX of them in order. */
struct list {
    const char *p[HOPS_MAX];
    size_t len[HOPS_MAX];
    int n;
};

static void append(struct list *l, const char *p, size_t len)
{
    trim(&p, &len);
    if (l->n == HOPS_MAX) {
        memmove(l->p, l->p + 1, sizeof(l->p) - sizeof(l->p[0]));
        memmove(l->len, l->len + 1, sizeof(l->len) - sizeof(l->len[0]));
        l->n--;
    }
    l->p[l->n] = p;
    l->len[l->n++] = len;
}

static void read_list(struct list *l, const struct http1_head *h, const char *p, const char *name)
{
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (f->id != FIELD_FORWARDING || !http1_is(p + f->name, f->name_len, name))
            continue;
        const char *v = p + f->value, *end = v + f->value_len;
        for (;;) {
            const char *comma = memchr(v, ',', (size_t)(end - v));
            append(l, v, (size_t)((comma ? comma : end) - v));
            if (!comma)
                break;
            v = comma + 1;
        }
    }
}

/* The element that the proxy wrote which stands `from_right` places from the right, or the only
 * one. */
static const char *beside(const struct list *l, int from_right, size_t *len)
{
    int i = l->n == 1 ? 0 : l->n - 1 - from_right;
    if (l->n == 0 || i < 0)
        return NULL;
    *len = l->len[i];
    return l->p[i];
}

static void take_scheme(struct client *c, const char *p, size_t len)
{
    if (p && http1_is(p, len, "https"))
        c->https = true;
    else if (p && http1_is(p, len, "http"))
        c->https = false;
}

static void take_host(struct client *c, const char *p, size_t len)
{
    size_t host_len;
    if (!p || len > HTTP1_HOST_MAX || !http1_host_ok(p, len, &host_len))
        return;
    c->host_at = (uint16_t)(p - gbuf_at(c->conn.in));
    c->host_len = (uint16_t)len;
}

/* Walks from the right; the visitor's place from the right, or -1 where nothing is known. */
static int find_visitor(const struct loop *l, const struct list *fors,
                        struct sockaddr_storage *visitor)
{
    int found = -1;
    for (int i = fors->n - 1; i >= 0; i--) {
        struct sockaddr_storage a;
        if (!forwarded_address(fors->p[i], fors->len[i], &a))
            break; /* beyond it nothing is known; the last proxy that is, is all there is */
        *visitor = a;
        found = fors->n - 1 - i;
        if (!trust_covers(l, &a))
            break;
    }
    return found;
}

static int take_x_forwarded(struct client *c, const struct http1_head *h, const char *p,
                            struct sockaddr_storage *visitor)
{
    struct list fors = {0}, protos = {0}, hosts = {0};
    size_t len = 0;
    read_list(&fors, h, p, "x-forwarded-for");
    read_list(&protos, h, p, "x-forwarded-proto");
    read_list(&hosts, h, p, "x-forwarded-host");
    int at = find_visitor(c->loop, &fors, visitor), from_right = at < 0 ? 0 : at;
    const char *proto = beside(&protos, from_right, &len);
    take_scheme(c, proto, len);
    const char *host = beside(&hosts, from_right, &len);
    take_host(c, host, len);
    return at;
}

static int take_forwarded(struct client *c, const struct http1_head *h, const char *p,
                          struct sockaddr_storage *visitor)
{
    struct forwarded_element all[HOPS_MAX], *e;
    struct list fors = {0};
    int n = 0;
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        struct forwarded_element some[HOPS_MAX];
        if (f->id != FIELD_FORWARDING || !http1_is(p + f->name, f->name_len, "forwarded"))
            continue;
        int more = forwarded_elements(p + f->value, f->value_len, some, HOPS_MAX);
        if (more < 0)
            n = 0; /* nothing to the left of it is known */
        for (int k = 0; k < more; k++) {
            if (n == HOPS_MAX)
                memmove(all, all + 1, sizeof(all[0]) * (size_t)(--n));
            all[n++] = some[k];
        }
    }
    for (int i = 0; i < n; i++)
        append(&fors, all[i].by_for ? all[i].by_for : "", all[i].for_len);
    int at = find_visitor(c->loop, &fors, visitor);
    if (n) {
        e = &all[n - 1 - (at < 0 ? 0 : at)];
        take_scheme(c, e->proto, e->proto_len);
        take_host(c, e->host, e->host_len);
    }
    return at;
}

bool forwarded_take(struct client *c, const struct http1_head *h)
{
    struct loop *l = c->loop;
    const char *p = gbuf_at(c->conn.in);
    struct sockaddr_storage visitor = {0};
    bool rfc7239 = l->conf->server_proxy_header[0] == 'f';
    int at = rfc7239 ? take_forwarded(c, h, p, &visitor) : take_x_forwarded(c, h, p, &visitor);
    if (at < 0)
        return true;
    trust_text(&visitor, c->ip, &c->ip6);
    c->visitor = limits_enter(l->limits, &visitor, l->conf->gateway_max_per_address);
    return c->visitor != NULL;
}

void forwarded_drop(struct client *c)
{
    if (c->visitor)
        limits_leave(c->visitor);
    c->visitor = NULL;
    memcpy(c->ip, c->peer_ip, sizeof(c->ip));
    c->ip6 = c->peer_ip6;
}
