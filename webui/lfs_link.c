#include "webui/lfs_link.h"

#include "common/util.h"
#include "webui/http.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALID_S 3600

static unsigned char key[crypto_auth_KEYBYTES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
    crypto_auth_keygen(key);
}

static void sign(const char *method, const char *owner, const char *name, const char *oid,
                 unsigned long long expires, unsigned char out[crypto_auth_BYTES])
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s\n%s\n%s\n%s\n%llu", method, owner, name, oid, expires);
    pthread_once(&once, make_key);
    crypto_auth(out, (const unsigned char *)text,
                n < (int)sizeof text ? (unsigned long long)n : sizeof text - 1, key);
}

void lfs_link_query(const char *method, const char *owner, const char *name, const char *oid,
                    char out[160])
{
    unsigned char signature[crypto_auth_BYTES];
    char hex[2 * sizeof signature + 1];
    unsigned long long expires = now_ms() / 1000 + VALID_S;
    sign(method, owner, name, oid, expires, signature);
    sodium_bin2hex(hex, sizeof hex, signature, sizeof signature);
    snprintf(out, 160, "?expires=%llu&signature=%s", expires, hex);
}

bool lfs_link_is_good(struct req *r)
{
    const char *hex = req_query(r, "signature"), *text = req_query(r, "expires");
    unsigned char wanted[crypto_auth_BYTES], given[crypto_auth_BYTES];
    char name[sizeof r->name];
    size_t n;
    if (!hex || !text || strlen(text) > 12 ||
        sodium_hex2bin(given, sizeof given, hex, strlen(hex), NULL, &n, NULL) < 0 ||
        n != sizeof given)
        return false;
    unsigned long long expires = strtoull(text, NULL, 10);
    if (expires < now_ms() / 1000)
        return false;
    snprintf(name, sizeof name, "%s", r->name);
    size_t len = strlen(name);
    if (len > 4 && strcmp(name + len - 4, ".git") == 0)
        name[len - 4] = 0;
    sign(r->route->method, r->owner, name, r->what, expires, wanted);
    return sodium_memcmp(wanted, given, sizeof wanted) == 0;
}
