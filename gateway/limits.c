#include "limits.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A place has the upper half of its key's hash, and both counts. Where a key may be are WINDOW
 * places in a row, from the lower half on: a quarter of the table is in use at most, so there is
 * room. Two loops that count a new key in the same few nanoseconds may use a place each: then it
 * has twice its limit, until one of them is empty. */
#define TAG_SHIFT 32
#define SITE_SHIFT 20
#define ONE UINT64_C(1)
#define ONE_SITE (UINT64_C(1) << SITE_SHIFT)
#define N_MAX (ONE_SITE - 1)
#define SITE_MAX (UINT64_C(0xfff))
#define WINDOW 16
#define SPARE 4

struct limits_address {
    _Atomic uint64_t word;
};

struct limits {
    unsigned char key[crypto_shorthash_KEYBYTES]; /* nobody chooses whose place is whose */
    uint64_t mask;
    struct limits_address *places;
};

struct limits *limits_new(uint64_t max)
{
    struct limits *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    uint64_t n = 1024;
    while (n < SPARE * max)
        n *= 2;
    m->mask = n - 1;
    m->places = calloc(n, sizeof(*m->places)); /* its pages are there once they are used */
    randombytes_buf(m->key, sizeof(m->key));
    if (m->places)
        return m;
    limits_free(m);
    return NULL;
}

void limits_free(struct limits *m)
{
    if (m)
        free(m->places);
    free(m);
}

static uint64_t n_of(uint64_t word)
{
    return word & N_MAX;
}

static uint64_t site_of(uint64_t word)
{
    return word >> SITE_SHIFT & SITE_MAX;
}

enum verdict { COUNTED, FULL, ANOTHERS };

static enum verdict count(struct limits_address *a, uint64_t tag, uint64_t max)
{
    uint64_t word = atomic_load_explicit(&a->word, memory_order_relaxed);
    for (;;) {
        if (word >> TAG_SHIFT != tag)
            return ANOTHERS;
        if (n_of(word) >= max || n_of(word) == N_MAX)
            return FULL;
        if (atomic_compare_exchange_weak_explicit(&a->word, &word, word + ONE, memory_order_relaxed,
                                                  memory_order_relaxed))
            return COUNTED;
    }
}

static struct limits_address *enter(struct limits *m, const void *key, size_t len, uint64_t max)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, key, len, m->key);
    uint64_t tag = hash >> 32 | 1;

    for (;;) {
        struct limits_address *empty = NULL;
        for (uint64_t i = 0; i < WINDOW; i++) {
            struct limits_address *a = &m->places[(hash + i) & m->mask];
            uint64_t word = atomic_load_explicit(&a->word, memory_order_relaxed);
            if (word == 0 && !empty)
                empty = a;
            if (word >> TAG_SHIFT != tag)
                continue;
            enum verdict v = count(a, tag, max);
            if (v != ANOTHERS)
                return v == COUNTED ? a : NULL;
        }
        uint64_t none = 0;
        if (!empty || max == 0)
            return NULL;
        if (atomic_compare_exchange_strong_explicit(&empty->word, &none, tag << TAG_SHIFT | ONE,
                                                    memory_order_relaxed, memory_order_relaxed))
            return empty;
    }
}

static size_t key_of(const struct sockaddr_storage *peer, uint8_t key[16])
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
    return 16;
}

struct limits_address *limits_enter(struct limits *m, const struct sockaddr_storage *peer,
                                    uint64_t max)
{
    uint8_t key[16];
    return enter(m, key, key_of(peer, key), max);
}

struct limits_address *limits_enter_named(struct limits *m, char what, const char *name,
                                          uint64_t max)
{
    char key[1 + 64 + 17] = {what}; /* longer than an address is */
    size_t len = strnlen(name, 64);
    memcpy(key + 1, name, len);
    return enter(m, key, sizeof(key), max);
}

bool limits_again(struct limits_address *a, uint64_t max)
{
    uint64_t word = atomic_load_explicit(&a->word, memory_order_relaxed);
    return count(a, word >> TAG_SHIFT, max) == COUNTED;
}

bool limits_enter_site(struct limits_address *a, uint64_t max)
{
    uint64_t word = atomic_load_explicit(&a->word, memory_order_relaxed);
    do
        if (site_of(word) >= max || site_of(word) == SITE_MAX)
            return false;
    while (!atomic_compare_exchange_weak_explicit(&a->word, &word, word + ONE_SITE,
                                                  memory_order_relaxed, memory_order_relaxed));
    return true;
}

void limits_leave_site(struct limits_address *a)
{
    atomic_fetch_sub_explicit(&a->word, ONE_SITE, memory_order_relaxed);
}

void limits_leave(struct limits_address *a)
{
    uint64_t word = atomic_load_explicit(&a->word, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&a->word, &word, n_of(word) == 1 ? 0 : word - ONE,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}
