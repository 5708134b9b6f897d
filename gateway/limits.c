#include "limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

struct limits_address {
    struct limits_address *next;
    uint8_t key[16];
    uint32_t bucket;
    uint32_t n, n_site;
};

struct limits {
    struct limits_address *unused;
    struct limits_address *buckets[BUCKETS];
    uint64_t seed;
};

struct limits *limits_new(void)
{
    struct limits *m = calloc(1, sizeof(*m));
    if (m)
        m->seed = (uint64_t)(uintptr_t)m;
    return m;
}

static void free_list(struct limits_address *a)
{
    while (a) {
        struct limits_address *next = a->next;
        free(a);
        a = next;
    }
}

void limits_free(struct limits *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < BUCKETS; i++)
        free_list(m->buckets[i]);
    free_list(m->unused);
    free(m);
}

static void key_of(const struct sockaddr_storage *peer, uint8_t key[16])
{
    memset(key, 0, 16);
    if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)peer;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
        memcpy(key, &in6->sin6_addr, mapped ? 16 : 8);
    } else if (peer->ss_family == AF_INET) {
        key[10] = key[11] = 0xff;
        memcpy(key + 12, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    }
}

static uint32_t bucket_of(const struct limits *m, const uint8_t key[16])
{
    uint64_t a, b;
    memcpy(&a, key, 8);
    memcpy(&b, key + 8, 8);
    uint64_t h = (a ^ m->seed) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32 ^ b) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(h >> 40) % BUCKETS;
}

struct limits_address *limits_enter(struct limits *m, const struct sockaddr_storage *peer,
                                    uint64_t max)
{
    uint8_t key[16];
    struct limits_address *a;

    key_of(peer, key);
    uint32_t bucket = bucket_of(m, key);
    for (a = m->buckets[bucket]; a; a = a->next) {
        if (memcmp(a->key, key, 16) != 0)
            continue;
        if (a->n >= max)
            return NULL;
        a->n++;
        return a;
    }
    a = m->unused;
    if (a)
        m->unused = a->next;
    else
        a = malloc(sizeof(*a));
    if (!a)
        return NULL;
    memcpy(a->key, key, 16);
    a->bucket = bucket;
    a->n = 1;
    a->n_site = 0;
    a->next = m->buckets[bucket];
    m->buckets[bucket] = a;
    return a;
}

bool limits_again(struct limits_address *a, uint64_t max)
{
    if (a->n >= max)
        return false;
    a->n++;
    return true;
}

bool limits_enter_site(struct limits_address *a, uint64_t max)
{
    if (a->n_site >= max)
        return false;
    a->n_site++;
    return true;
}

void limits_leave_site(struct limits_address *a)
{
    a->n_site--;
}

void limits_leave(struct limits *m, struct limits_address *a)
{
    if (--a->n > 0)
        return;
    struct limits_address **p = &m->buckets[a->bucket];
    while (*p != a)
        p = &(*p)->next;
    *p = a->next;
    a->next = m->unused;
    m->unused = a;
}
