#include "trust.h"

#include "common/cleanup.h"
#include "common/netrule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define RULES_MAX 256

struct trust {
    unsigned n;
    struct netrule rules[RULES_MAX];
};

static int add(void *arg, const char *entry, const struct netrule *rule, struct err *err)
{
    struct trust *t = arg;
    (void)entry;
    if (t->n == RULES_MAX)
        return err_set(err, E2BIG, "server.trusted_proxies: more than %d entries", RULES_MAX);
    t->rules[t->n++] = *rule;
    return 0;
}

int trust_new(struct loop *l, struct err *err)
{
    l->trust = calloc(1, sizeof(*l->trust));
    if (!l->trust)
        return err_set(err, ENOMEM, "no memory for the trusted proxies");
    return netrule_list(l->conf->server_trusted_proxies, "server.trusted_proxies", true, add,
                        l->trust, err);
}

void trust_free(struct loop *l)
{
    free(steal_ptr(l->trust));
}

/* 4 or 16 bytes of it, or NULL. */
static const uint8_t *bytes_of(const struct sockaddr_storage *peer, bool *ip6)
{
    *ip6 = false;
    if (peer->ss_family == AF_INET)
        return (const uint8_t *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
    if (peer->ss_family != AF_INET6)
        return NULL;
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(a))
        return a->s6_addr + 12;
    *ip6 = true;
    return a->s6_addr;
}

bool trust_covers(const struct loop *l, const struct sockaddr_storage *peer)
{
    const struct trust *t = l->trust;
    bool ip6;
    const uint8_t *a = bytes_of(peer, &ip6);
    if (!a)
        return peer->ss_family == AF_UNIX;
    for (unsigned i = 0; i < t->n; i++)
        if (netrule_covers(&t->rules[i], ip6, a))
            return true;
    return false;
}

void trust_text(const struct sockaddr_storage *peer, char out[46], bool *ip6)
{
    const uint8_t *a = bytes_of(peer, ip6);
    if (!a || !inet_ntop(*ip6 ? AF_INET6 : AF_INET, a, out, 46))
        memcpy(out, "unknown", sizeof("unknown"));
}
